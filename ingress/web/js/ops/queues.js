// arq's queues: what waits in them, and what became of the jobs that were taken.
import { html } from "../../vendor/preact.js";
import { duration } from "../time.js";
import { Card } from "./card.js";
import { count, milliseconds } from "./numbers.js";
import { overview } from "./state.js";

const LATE_S = { "pagewire:now": 5, "pagewire:later": 60 };

export function Queues() {
  const { queues = [], kinds = [] } = overview.value ?? {};
  const beside = queues.map((queue) => html`<${Depth} key=${queue.name} ...${queue} />`);
  return html`<${Card} id="queues" title="Jobs" beside=${beside}>
    ${overview.value && (kinds.length ? html`<${Table} kinds=${kinds} />` : html`<${NoJobs} />`)}
  <//>`;
}

function Depth({ name, due, deferred, oldestSeconds }) {
  const isLate = oldestSeconds > LATE_S[name];
  const more = deferred ? ` · ${count(deferred)} for later` : "";
  const age = oldestSeconds >= 1 ? ` · oldest ${duration(oldestSeconds * 1000)}` : "";
  return html`<span class="badge ${isLate ? "warn" : ""}" title=${name}>
    ${name.replace("pagewire:", "")}: ${count(due)} due${age}${more}
  </span>`;
}

function NoJobs() {
  return html`<p class="empty">No job was done since the workers started.</p>`;
}

function Table({ kinds }) {
  return html`<table>
    <thead>
      <tr>
        <th scope="col">Job</th>
        <th scope="col">Done</th>
        <th scope="col">To be tried again</th>
        <th scope="col">Given up</th>
        <th scope="col">Takes</th>
      </tr>
    </thead>
    <tbody>
      ${kinds.map((kind) => html`<${Row} key=${kind.name} ...${kind} />`)}
    </tbody>
  </table>`;
}

function Row({ name, done, again, givenUp, meanMs }) {
  return html`<tr>
    <th scope="row">${name.replaceAll("_", " ")}</th>
    <td>${count(done)}</td>
    <td>${count(again)}</td>
    <td>${givenUp ? html`<span class="badge bad">${count(givenUp)}</span>` : 0}</td>
    <td>${milliseconds(meanMs)}</td>
  </tr>`;
}
