// Syncs: those under way, and how the last ones ended.
import { html } from "../../vendor/preact.js";
import { duration, RelativeTime } from "../time.js";
import { Bar } from "./bar.js";
import { Card } from "./card.js";
import { count, milliseconds } from "./numbers.js";
import { overview } from "./state.js";

const LEVELS = { queued: "", running: "busy", complete: "good", interrupted: "warn", failed: "bad" };

export function Jobs() {
  const jobs = overview.value?.jobs;
  return html`<${Card} id="jobs" title="Syncs" tall>
    ${jobs && (jobs.length ? html`<${Table} jobs=${jobs} />` : html`<${NoJobs} />`)}
  <//>`;
}

function NoJobs() {
  return html`<div class="empty">
    <p>Nothing was synced yet. Start with</p>
    <code class="command">pagewire sync --all</code>
  </div>`;
}

function Table({ jobs }) {
  return html`<table>
    <thead>
      <tr>
        <th scope="col">State</th>
        <th scope="col">Sync</th>
        <th scope="col">Came to</th>
        <th scope="col">Started</th>
        <th scope="col">Took</th>
      </tr>
    </thead>
    <tbody>
      ${jobs.map((job) => html`<${Row} key=${job.jobId} job=${job} />`)}
    </tbody>
  </table>`;
}

function Row({ job: { state, mode, page, progress, startedAt, finishedAt, error } }) {
  return html`<tr>
    <td><span class="badge ${LEVELS[state]}">${state}</span></td>
    <td>${mode} <small class="faint">${page?.name ?? "all Pages"}</small></td>
    <td>${state === "running" ? html`<${Running} ...${progress} />` : (error ?? came(state, progress))}</td>
    <td><${RelativeTime} at=${startedAt} none="–" /></td>
    <td>${took(startedAt, finishedAt)}</td>
  </tr>`;
}

function Running({ synced, total }) {
  return html`<${Bar} role="progressbar" label="Progress" value=${synced} of=${total} />
    <small class="faint">${count(synced)}${total === null ? "" : ` of ${count(total)}`}</small>`;
}

function came(state, { inserted, updated }) {
  if (state === "queued") return "–";
  return inserted + updated ? `${count(inserted)} new, ${count(updated)} updated` : "nothing new";
}

function took(startedAt, finishedAt) {
  if (!startedAt || !finishedAt) return "–";
  const ms = Date.parse(finishedAt) - Date.parse(startedAt);
  return ms < 10_000 ? milliseconds(ms) : duration(ms);
}
