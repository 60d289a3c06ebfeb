// How this person wants the pages to look, remembered in this browser (theme.js reads it back).
import { signal } from "../vendor/preact.js";

function preference(name) {
  const current = signal(document.documentElement.dataset[name]);
  return {
    get value() {
      return current.value;
    },
    set value(chosen) {
      current.value = chosen;
      document.documentElement.dataset[name] = chosen;
      try {
        localStorage.setItem(name, chosen);
      } catch {
        // storage is switched off: it holds until the page is left
      }
    },
  };
}

export const theme = preference("theme");
export const density = preference("density");
