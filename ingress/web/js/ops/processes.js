// Our processes, by their heartbeats.
import { html } from "../../vendor/preact.js";
import { RelativeTime } from "../time.js";
import { Card } from "./card.js";
import { bytes } from "./numbers.js";
import { overview } from "./state.js";

const SILENT_MS = 30_000;

export function Processes() {
  const processes = overview.value?.workers;
  return html`<${Card} id="processes" title="Processes">
    ${processes && (processes.length ? html`<${Table} processes=${processes} />` : html`<${None} />`)}
  <//>`;
}

function None() {
  return html`<div class="empty">
    <p>No process tells of itself: Redis is away, or nothing but this page runs.</p>
    <code class="command">pagewire doctor</code>
  </div>`;
}

function Table({ processes }) {
  return html`<table>
    <thead>
      <tr>
        <th scope="col">Process</th>
        <th scope="col">Started</th>
        <th scope="col">Heartbeat</th>
        <th scope="col">Memory</th>
      </tr>
    </thead>
    <tbody>
      ${processes.map((one) => html`<${Row} key=${one.name} of=${one} />`)}
    </tbody>
  </table>`;
}

function Row({ of: { name, kind, host, pid, version, startedAt, lastBeatAt, rssBytes } }) {
  const silent = Date.now() - Date.parse(lastBeatAt) > SILENT_MS;
  return html`<tr>
    <th scope="row">${name} <small class="faint">${kind} · ${host} · pid ${pid} · ${version}</small></th>
    <td><${RelativeTime} at=${startedAt} /></td>
    <td><span class="badge ${silent ? "bad" : "good"}"><${RelativeTime} at=${lastBeatAt} /></span></td>
    <td>${rssBytes === null ? "–" : bytes(rssBytes)}</td>
  </tr>`;
}
