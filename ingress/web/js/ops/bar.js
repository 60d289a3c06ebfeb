// How much of something: a sync's progress, a budget's use.
import { html } from "../../vendor/preact.js";

// `of` null: how much there is to do is not known yet.
export function Bar({ role, label, value, of, level = "" }) {
  const share = of ? Math.min(1, value / of) : null;
  return html`<span
    class="bar ${level} ${share === null ? "unknown" : ""}" role=${role} aria-label=${label}
    aria-valuemin="0" aria-valuemax="100" aria-valuenow=${share === null ? undefined : Math.round(share * 100)}
  >
    <span style=${{ width: share === null ? "35%" : `${share * 100}%` }} />
  </span>`;
}
