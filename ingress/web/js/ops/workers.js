// The processes that do the work, by their heartbeats.
import { html } from "../../vendor/preact.js";
import { RelativeTime } from "../time.js";
import { Card } from "./card.js";
import { bytes } from "./numbers.js";
import { overview } from "./state.js";

const SILENT_MS = 30_000;

export function Workers() {
  const workers = overview.value?.workers;
  return html`<${Card} id="workers" title="Workers">
    ${workers && (workers.length ? html`<${Table} workers=${workers} />` : html`<${NoWorkers} />`)}
  <//>`;
}

function NoWorkers() {
  return html`<div class="empty">
    <p>No worker is running: events wait, safely stored, in the backlog. Start one:</p>
    <code class="command">python -m worker</code>
  </div>`;
}

function Table({ workers }) {
  return html`<table>
    <thead>
      <tr>
        <th scope="col">Worker</th>
        <th scope="col">Started</th>
        <th scope="col">Heartbeat</th>
        <th scope="col">Memory</th>
      </tr>
    </thead>
    <tbody>
      ${workers.map((worker) => html`<${Row} key=${worker.name} worker=${worker} />`)}
    </tbody>
  </table>`;
}

function Row({ worker: { name, kind, host, pid, version, startedAt, lastBeatAt, rssBytes } }) {
  const silent = Date.now() - Date.parse(lastBeatAt) > SILENT_MS;
  return html`<tr>
    <th scope="row">${name} <small class="faint">${kind} · ${host} · pid ${pid} · ${version}</small></th>
    <td><${RelativeTime} at=${startedAt} /></td>
    <td><span class="badge ${silent ? "bad" : "good"}"><${RelativeTime} at=${lastBeatAt} /></span></td>
    <td>${rssBytes === null ? "–" : bytes(rssBytes)}</td>
  </tr>`;
}
