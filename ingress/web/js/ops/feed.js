// What comes in, as it comes in: who and what kind, never what people wrote.
import { html, signal, useSignal } from "../../vendor/preact.js";
import { listen } from "../stream.js";
import { exact } from "../time.js";
import { Card } from "./card.js";
import { pageNames } from "./state.js";

const KEPT = 200;
const SHOWN = 40;
const PAINT_MS = 200; // hundreds a second are painted a few times a second

const events = signal([]); // newest first
const arrived = signal(0);
const kinds = signal(new Set());

export function startFeed() {
  let waiting = [];
  const paint = () => {
    events.value = [...waiting.reverse(), ...events.value].slice(0, KEPT);
    arrived.value += waiting.length;
    const known = kinds.value.size;
    const all = new Set([...kinds.value, ...waiting.map(({ kind }) => kind)]);
    if (all.size > known) kinds.value = all;
    waiting = [];
  };
  return listen("/api/ops/events", {
    onLine() {},
    onEvents(told) {
      const fresh = told.filter(({ type }) => type !== "open").map(({ data }) => ({ ...data, key: nextKey() }));
      if (fresh.length && !waiting.length) setTimeout(paint, PAINT_MS);
      waiting.push(...fresh);
      waiting = waiting.slice(-KEPT);
    },
  });
}

let made = 0;
const nextKey = () => ++made;

export function Feed() {
  const page = useSignal("");
  const kind = useSignal("");
  const held = useSignal(null); // what is shown while someone reads: { events, arrived }
  const hold = () => (held.value ??= { events: events.value, arrived: arrived.value });
  const release = ({ currentTarget, relatedTarget }) => {
    if (!currentTarget.contains(relatedTarget)) held.value = null;
  };
  const shown = (held.value?.events ?? events.value)
    .filter((event) => (!page.value || event.pageId === page.value) && (!kind.value || event.kind === kind.value))
    .slice(0, SHOWN);
  const missed = held.value ? arrived.value - held.value.arrived : 0;
  const beside = html`
    ${missed > 0 && html`<span class="badge busy">paused · ${missed} new</span>`}
    <${Choose} label="Page" all="All Pages" of=${page} options=${[...pageNames.value]} />
    <${Choose} label="Kind" all="All kinds" of=${kind} options=${[...kinds.value].map((name) => [name, name])} />
  `;
  return html`<${Card}
    id="feed" title="Live events" tall beside=${beside}
    onMouseEnter=${hold} onMouseLeave=${release} onFocusIn=${hold} onFocusOut=${release}
  >
    ${shown.length
      ? html`<${Table} shown=${shown} />`
      : html`<p class="empty">Nothing came in since this page was opened.</p>`}
  <//>`;
}

function Choose({ label, all, of, options }) {
  return html`<select aria-label=${label} onChange=${({ target }) => (of.value = target.value)}>
    <option value="">${all}</option>
    ${options.map(([value, name]) => html`<option key=${value} value=${value}>${name}</option>`)}
  </select>`;
}

function Table({ shown }) {
  return html`<table>
    <thead class="hidden">
      <tr><th scope="col">Time</th><th scope="col">Kind</th><th scope="col">Page and person</th></tr>
    </thead>
    <tbody>
      ${shown.map(
        ({ key, at, kind, pageId, participantId, conversationId }) => html`<tr key=${key}>
          <td class="faint"><time datetime=${at} title=${exact(at)}>${seconds(at)}</time></td>
          <td>${kind}</td>
          <td>
            ${pageNames.value.get(pageId) ?? pageId}
            <a class="faint" href=${`/inbox?conversation=${conversationId}`} title="Open the conversation">${participantId}</a>
          </td>
        </tr>`,
      )}
    </tbody>
  </table>`;
}

const seconds = (at) => new Date(at).toLocaleTimeString("en-GB");
