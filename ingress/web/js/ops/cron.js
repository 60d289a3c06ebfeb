// What happens by itself, and when it last did.
import { html } from "../../vendor/preact.js";
import { RelativeTime } from "../time.js";
import { Card } from "./card.js";
import { overview } from "./state.js";

export function Cron() {
  return html`<${Card} id="cron" title="Scheduled">
    <table>
      <thead>
        <tr><th scope="col">Task</th><th scope="col">Last run</th><th scope="col">Next run</th></tr>
      </thead>
      <tbody>
        ${(overview.value?.cron ?? []).map((task) => html`<${Row} key=${task.name} ...${task} />`)}
      </tbody>
    </table>
  <//>`;
}

function Row({ name, lastRunAt, nextRunAt }) {
  return html`<tr>
    <th scope="row">${name.replaceAll("_", " ")}</th>
    <td><${RelativeTime} at=${lastRunAt} /></td>
    <td><${RelativeTime} at=${nextRunAt} none="–" /></td>
  </tr>`;
}
