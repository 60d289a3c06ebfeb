// What is wrong just now, each with what to do about it.
import { html } from "../../vendor/preact.js";
import { Icon } from "../icons.js";
import { overview, refusal } from "./state.js";

export function Alerts() {
  const alerts = overview.value?.alerts ?? [];
  return html`<div class="alerts" role="status" aria-label="Alerts">
    ${refusal.value && html`<${Alert} level="warning" text=${refusal.value} />`}
    ${alerts.map((alert) => html`<${Alert} key=${alert.text} ...${alert} />`)}
  </div>`;
}

function Alert({ level, text, fix }) {
  const isCommand = /^(pagewire|python) /.test(fix);
  return html`<div class="alert ${level === "error" ? "bad" : "warn"}">
    <${Icon} name="alert" />
    <p>${text}</p>
    ${isCommand ? html`<code>${fix}</code>` : fix}
  </div>`;
}
