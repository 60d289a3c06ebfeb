// Where one is, as the address says it: deep links, Back and Forward work.
import { signal } from "../vendor/preact.js";

const read = () => Object.fromEntries(new URLSearchParams(location.search));

export const place = signal(read());
addEventListener("popstate", () => (place.value = read()));

// The address with some of it changed; an empty value goes.
export function address(changes) {
  const next = Object.entries({ ...place.value, ...changes }).filter(([, value]) => value);
  return location.pathname + (next.length ? `?${new URLSearchParams(next)}` : "");
}

// `replace`: leave no step to go back to, as while typing a search.
export function go(changes, { replace = false } = {}) {
  const next = address(changes);
  if (next === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", next);
  place.value = read();
}

// For `onClick` of a link made with `address`: stay in the page, but leave new tabs to the browser.
export const goes = (changes) => (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  go(changes);
};
