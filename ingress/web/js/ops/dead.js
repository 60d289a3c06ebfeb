// Dead letters: what could not be understood or stored, kept until a person decides.
import { html, useEffect, useSignal } from "../../vendor/preact.js";
import { get, post, withQuery } from "../api.js";
import { confirm } from "../dialogs.js";
import { may } from "../session.js";
import { RelativeTime } from "../time.js";
import { attempt } from "../toasts.js";
import { Card } from "./card.js";
import { plural } from "./numbers.js";
import { letters, loadLetters, overview, pageNames } from "./state.js";

const SLICE = 20;

export function Dead() {
  const groups = letters.value;
  const known = overview.value?.strip.deadLetters;
  useEffect(() => void loadLetters().catch(() => null), [known]);
  return html`<${Card} id="dead" title="Dead letters" tall>
    ${groups?.map((group) => html`<${Group} key=${group.reason} group=${group} />`)}
    ${groups?.length === 0 &&
    html`<p class="empty">None. What cannot be understood or stored would be kept here.</p>`}
  <//>`;
}

const MEANING = {
  bad_job: "Jobs that no worker knows, or whose arguments make no sense.",
  empty_entry: "Webhooks with nothing in them.",
  failed: "Jobs that failed for so long that they were given up.",
  refused: "The database refused what they hold.",
  unknown_object: "Webhooks of a kind that is not taken here.",
  unknown_page: "For a Page that is not ours: add it, and they are applied by themselves.",
  unreadable: "Not in any form that Facebook documents.",
};

function Group({ group }) {
  const { reason, count, oldest, newest } = group;
  const isOpen = useSignal(false);
  return html`<details class="group" onToggle=${({ target }) => (isOpen.value = target.open)}>
    <summary>
      <span class="badge warn">${count}</span>
      <strong>${reason.replaceAll("_", " ")}</strong>
      <small class="faint">oldest <${RelativeTime} at=${oldest} />, newest <${RelativeTime} at=${newest} /></small>
    </summary>
    <div class="group-body">
      <p class="faint">${MEANING[reason]}</p>
      ${may("admin") &&
      html`<p class="answers">
        <button class="button small" onClick=${() => retryAll(reason)}>Retry all</button>
        <button class="button small danger" onClick=${() => discardAll(reason, count)}>Discard all</button>
      </p>`}
      ${isOpen.value && html`<${Letters} group=${group} />`}
    </div>
  </details>`;
}

const retryAll = (reason) =>
  attempt(andShow(() => post("/api/dead/retry", { reason })), "They are tried again.");

async function discardAll(reason, count) {
  if (await isSure(plural(count, "dead letter")))
    attempt(andShow(() => post("/api/dead/discard", { reason })), "Discarded.");
}

const isSure = (what) =>
  confirm(`Discard ${what}?`, {
    detail: "What they hold stays in the table, but nobody is asked about it again.",
    yes: "Discard",
  });

// Decides about letters, and shows at once what is left.
const andShow = (decide) => async () => {
  await decide();
  await loadLetters();
};

// Read again whenever the groups were, as many as are shown.
function Letters({ group }) {
  const shown = useSignal([]);
  const cursor = useSignal(null);
  const read = (more) => get(withQuery("/api/dead", { reason: group.reason, ...more }));
  const load = async () => {
    const slice = await read({ limit: Math.max(SLICE, shown.peek().length) });
    shown.value = slice.data;
    cursor.value = slice.nextCursor;
  };
  const loadMore = async () => {
    const slice = await read({ limit: SLICE, cursor: cursor.value });
    shown.value = [...shown.value, ...slice.data];
    cursor.value = slice.nextCursor;
  };
  useEffect(() => void attempt(load), [group]);
  return html`
    <ul role="list">
      ${shown.value.map((letter) => html`<${Letter} key=${letter.id} of=${letter} />`)}
    </ul>
    ${cursor.value && html`<button class="button small" onClick=${() => attempt(loadMore)}>More</button>`}
  `;
}

function Letter({ of: { id, source, error, pageId, firstSeen, tries, size } }) {
  const decide = (how, done) => attempt(andShow(() => post(`/api/dead/${id}/${how}`)), done);
  const retry = () => decide("retry", "It is tried again.");
  const discard = async () => (await isSure(`dead letter ${id}`)) && decide("discard", "Discarded.");
  return html`<li class="letter">
    <p>
      ${error}
      <small class="faint">
        ${[`#${id}`, source, pageNames.value.get(pageId) ?? pageId ?? "no Page", `${size} bytes`, plural(tries, "try", "tries"), ""].join(" · ")}
        <${RelativeTime} at=${firstSeen} />
      </small>
    </p>
    ${may("admin") &&
    html`<button class="button small" onClick=${retry}>Retry</button>
      <button class="button small danger" onClick=${discard}>Discard</button>`}
  </li>`;
}
