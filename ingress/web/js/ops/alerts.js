// What is wrong just now, each with what to do about it.
import { html } from "../../vendor/preact.js";
import { Icon } from "../icons.js";
import { overview } from "./state.js";

export function Alerts() {
  const alerts = overview.value?.alerts ?? [];
  return html`<div class="alerts" role="status" aria-label="Alerts">
    ${alerts.map(
      ({ level, text, fix }) => html`<div key=${text} class="alert ${level === "error" ? "bad" : "warn"}">
        <${Icon} name="alert" />
        <p>${text}</p>
        <code>${fix}</code>
      </div>`,
    )}
  </div>`;
}
