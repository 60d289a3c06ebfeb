// The Pages: which is unwell, what is being done, and what a person can do about it.
import { html, useSignal } from "../../vendor/preact.js";
import { patch, post } from "../api.js";
import { loadPages, pages } from "../pages.js";
import { may } from "../session.js";
import { clock, duration, RelativeTime } from "../time.js";
import { attempt } from "../toasts.js";
import { Bar } from "./bar.js";
import { Card } from "./card.js";
import { count, plural } from "./numbers.js";

const MANY = 8; // from here on a field to find a Page in

export function Pages() {
  const wanted = useSignal("");
  const all = pages.value ?? [];
  const shown = all
    .filter(({ name, facebookPageId }) => `${name} ${facebookPageId}`.toLowerCase().includes(wanted.value))
    .sort((one, other) => trouble(other) - trouble(one));
  const beside = html`
    ${all.length > MANY && html`<${Find} wanted=${wanted} />`}
    ${may("sync") && all.length > 0 && html`<button class="button small" onClick=${syncAll}>Sync all</button>`}
  `;
  return html`<${Card} id="pages" title="Pages" beside=${beside}>
    ${pages.value && (all.length ? html`<${Table} shown=${shown} />` : html`<${NoPages} />`)}
  <//>`;
}

function Find({ wanted }) {
  const typed = ({ target }) => (wanted.value = target.value.toLowerCase());
  return html`<input type="search" aria-label="Find a Page" placeholder="Find a Page" onInput=${typed} />`;
}

// What needs a person comes first.
function trouble({ status, budget }) {
  if (status === "parked") return 2;
  return isHeld(budget) ? 1 : 0;
}

const isHeld = (budget) => budget?.holdUntil && Date.parse(budget.holdUntil) > Date.now();

function Table({ shown }) {
  return html`<table>
    <thead>
      <tr>
        <th scope="col">Page</th>
        <th scope="col">State</th>
        <th scope="col">Last sync</th>
        <th scope="col">Last event</th>
        <th scope="col">Proven complete</th>
        <th scope="col">Graph budget</th>
        ${may("sync") && html`<th scope="col"><span class="hidden">Actions</span></th>`}
      </tr>
    </thead>
    <tbody>
      ${shown.map((page) => html`<${Row} key=${page.id} page=${page} />`)}
    </tbody>
  </table>`;
}

function Row({ page }) {
  const help = helpFor(page);
  return html`
    <tr data-page=${page.facebookPageId} class=${help ? "explained" : ""}>
      <th scope="row">
        ${page.name}
        <small class="faint">${page.facebookPageId} · ${plural(page.conversations, "conversation")}</small>
      </th>
      <td><${State} page=${page} /></td>
      <td><${Sync} page=${page} /></td>
      <td><${RelativeTime} at=${page.lastEventAt} /></td>
      <td><${RelativeTime} at=${page.provenAt} /> ${page.provenLevel && html`<small class="faint">${page.provenLevel}</small>`}</td>
      <td><${Budget} of=${page.budget} /></td>
      ${may("sync") && html`<td class="actions"><${Actions} page=${page} /></td>`}
    </tr>
    ${help &&
    html`<tr class="explanation">
      <td colspan="7"><p>${help.text}</p>${help.command && html`<code class="command">${help.command}</code>`}</td>
    </tr>`}
  `;
}

const STATES = {
  active: ["good", "Active"],
  paused: ["", "Paused"],
  parked: ["bad", "Needs you"],
  removed: ["", "Removed"],
};

function State({ page: { status, run, budget } }) {
  const [level, words] = stateOf(status, run, budget);
  return html`<span class="badge ${level}">${words}</span>`;
}

function stateOf(status, run, budget) {
  if (status !== "active") return STATES[status];
  if (isHeld(budget)) return ["warn", "Throttled"];
  if (run?.state === "running") return ["busy", run.mode === "history" ? "Fetching history" : "Syncing"];
  if (run?.state === "queued") return ["busy", "Queued"];
  if (run?.state === "interrupted") return ["warn", "Interrupted"];
  return STATES.active;
}

function Sync({ page: { run, lastSyncedAt, name } }) {
  if (!run) return html`<${RelativeTime} at=${lastSyncedAt} />`;
  const { synced, total, etaSeconds } = run.progress;
  const eta = etaSeconds === null ? "" : ` · ${duration(etaSeconds * 1000)} left`;
  return html`<${Bar} role="progressbar" label=${`Sync of ${name}`} value=${synced} of=${total} />
    <small class="faint">${count(synced)}${total === null ? "" : ` of ${count(total)}`} conversations${eta}</small>`;
}

function Budget({ of }) {
  if (!of || of.usagePercent === null) return html`<span class="faint">–</span>`;
  const level = of.usagePercent >= 90 ? "bad" : of.usagePercent >= 70 ? "warn" : "";
  return html`<${Bar} role="meter" label="Used of Facebook's limit" value=${of.usagePercent} of=${100} level=${level} />
    <small class="faint">${of.usagePercent} %${isHeld(of) ? ` · waits until ${clock(of.holdUntil)}` : ""}</small>`;
}

const PARKED =
  "Its live messages are still stored. Give it a new token, and it goes on where it stopped.";

// The sentence that helps.
function helpFor({ status, statusReason, facebookPageId, name, run }) {
  if (status === "parked")
    return {
      text: `${statusReason ?? "Facebook refuses this Page."} ${PARKED}`,
      command: `pagewire page add ${facebookPageId} --name ${quoted(name)} --token-file -`,
    };
  if (run?.error) return { text: `${run.error} The sync keeps its place and goes on from there.` };
  return null;
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function Actions({ page }) {
  return actionsOn(page).map(
    ([words, work, done]) => html`<button
      class="button small" key=${words} aria-label=${`${words} ${page.name}`}
      onClick=${() => attempt(andShow(work), done)}
    >
      ${words}
    </button>`,
  );
}

function actionsOn(page) {
  const { status, run, name } = page;
  const isActive = status === "active";
  const isStopped = status === "paused" || status === "parked";
  const mine = [
    isActive && !run && ["Sync", () => sync(page, false), `Syncing ${name}.`],
    isActive && run?.mode !== "full" && ["Full sync", () => sync(page, true), `Syncing all of ${name}.`],
  ];
  const admins = [
    isActive && ["Pause", () => setStatus(page, "paused"), `${name} is paused: its live messages are still stored.`],
    isStopped && ["Resume", () => setStatus(page, "active"), `${name} goes on.`],
    status !== "removed" && ["Re-subscribe", () => subscribe(page), `${name} is subscribed to webhooks.`],
  ];
  return [...mine, ...(may("admin") ? admins : [])].filter(Boolean);
}

// Does something to a Page, and shows at once what became of it.
const andShow = (work) => async () => {
  await work();
  await loadPages();
};

const sync = ({ id, facebookPageId }, forceFull) =>
  post("/api/conversations/sync?wait=0", { pageId: id, facebookPageId, forceFull });
const setStatus = ({ id }, status) => patch(`/api/pages/${id}`, { status });
const subscribe = ({ id }) => post(`/api/pages/${id}/subscribe`);
const syncAll = () =>
  attempt(andShow(() => post("/api/conversations/sync-all?wait=0")), "Syncing all Pages.");

function NoPages() {
  return html`<div class="empty">
    <h3>No Pages yet</h3>
    <p>Add one, with its access token on standard input:</p>
    <code class="command">pagewire page add PAGE_ID --name NAME --token-file -</code>
  </div>`;
}
