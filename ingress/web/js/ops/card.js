// A part of the ops page: its title, what stands beside it, and a body that scrolls by itself.
import { html } from "../../vendor/preact.js";

export function Card({ id, title, beside, tall = false, children, ...body }) {
  return html`<section class="card" id=${id} aria-labelledby=${`${id}-title`}>
    <header>
      <h2 id=${`${id}-title`}>${title}</h2>
      ${beside}
    </header>
    <div class=${tall ? "scrolls tall" : "scrolls"} tabindex="0" role="group" aria-labelledby=${`${id}-title`} ...${body}>
      ${children}
    </div>
  </section>`;
}
