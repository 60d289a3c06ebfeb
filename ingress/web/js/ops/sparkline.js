// A small line of the last minutes, with the threshold where it is in reach.
import { html } from "../../vendor/preact.js";

const WIDTH = 100;
const HEIGHT = 24;

export function Sparkline({ values, threshold }) {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return html`<svg class="sparkline" viewBox="0 0 ${WIDTH} ${HEIGHT}" aria-hidden="true" />`;
  const top = Math.max(...known) * 1.1 || 1;
  const x = (n) => (n / (values.length - 1)) * WIDTH;
  const y = (value) => HEIGHT - (value / top) * (HEIGHT - 2) - 1;
  const line = pathOf(values, x, y);
  return html`<svg class="sparkline" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true">
    <path class="under" d=${`${line}V${HEIGHT}H${x(values.findIndex((value) => value !== null)).toFixed(1)}Z`} />
    <path class="over" d=${line} />
    ${threshold < top && html`<path class="threshold" d=${`M0 ${y(threshold).toFixed(1)}H${WIDTH}`} />`}
  </svg>`;
}

// Where a value is missing, the line goes straight on to the next.
function pathOf(values, x, y) {
  return values
    .map((value, n) => (value === null ? "" : `${x(n).toFixed(1)} ${y(value).toFixed(1)}`))
    .filter(Boolean)
    .reduce((path, point) => `${path}${path ? "L" : "M"}${point}`, "");
}
