// What happens by itself, and when it last did.
import { html } from "../../vendor/preact.js";
import { RelativeTime } from "../time.js";
import { overview } from "./state.js";

export function Cron() {
  return html`<section class="card" aria-labelledby="cron-title">
    <header><h2 id="cron-title">Scheduled</h2></header>
    <div class="wide" tabindex="0" role="region" aria-labelledby="cron-title">
      <table>
        <thead>
          <tr><th scope="col">Task</th><th scope="col">Last run</th><th scope="col">Next run</th></tr>
        </thead>
        <tbody>
          ${(overview.value?.cron ?? []).map(
            ({ name, lastRunAt, nextRunAt }) => html`<tr key=${name}>
              <th scope="row">${name.replaceAll("_", " ")}</th>
              <td><${RelativeTime} at=${lastRunAt} /></td>
              <td><${RelativeTime} at=${nextRunAt} none="–" /></td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}
