// Keyboard shortcuts: single keys, or two in a row ("g i"). `?` lists those of the page.
import { useEffect } from "../vendor/preact.js";

const PAIR_MS = 1000;
const known = new Map(); // keys -> { label, run }
let first = { key: null, at: 0 };

export const shortcuts = () => [...known].map(([keys, { label }]) => ({ keys, label }));

// `shortcuts`: { "g i": ["Go to the inbox", () => …] }, while the component is there.
export function useShortcuts(added) {
  useEffect(() => {
    for (const [keys, [label, run]] of Object.entries(added)) known.set(keys, { label, run });
    return () => Object.keys(added).forEach((keys) => known.delete(keys));
  });
}

function typing(target) {
  return target.isContentEditable || /^(input|select|textarea)$/i.test(target.tagName);
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (document.querySelector("dialog[open]")) return;
  if (typing(event.target) && event.key !== "Escape") return;
  const pair = event.timeStamp - first.at < PAIR_MS ? `${first.key} ${event.key}` : null;
  const found = known.get(pair) ?? known.get(event.key);
  first = { key: event.key, at: event.timeStamp };
  if (!found) return;
  event.preventDefault();
  found.run(event);
});
