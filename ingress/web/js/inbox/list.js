// The list pane: conversations of all Pages, newest first, reordered as they change.
import { html, useEffect, useLayoutEffect, useRef, useSignal } from "../../vendor/preact.js";
import { address, goes, place } from "../place.js";
import { ShortTime } from "../time.js";
import { Avatar, nameOf, pageOf } from "./person.js";
import { busy, conversations, cursor, loadMore, problem, reload } from "./conversations.js";
import { NoConversations } from "./empty.js";
import { Filters } from "./filters.js";
import { marked } from "./text.js";

const AT_TOP_PX = 120;

export function List() {
  return html`<section class="list pane" aria-label="Conversations">
    <${Filters} />
    <${Rows} />
  </section>`;
}

function Rows() {
  const pane = useRef();
  const rows = conversations.value;
  const { page, tag, q, unread } = place.value;
  useEffect(() => pane.current?.scrollTo(0, 0), [page, tag, q, unread]);
  useKeptFocus();
  const [isAway, onScroll] = useAwayFromTop(pane, rows[0]?.id);
  if (problem.value && !rows.length) return html`<${Failed} />`;
  if (!rows.length) return busy.value ? html`<${Skeleton} />` : html`<${NoConversations} />`;
  return html`
    <div class="rows scroller" ref=${pane} onScroll=${onScroll} tabindex="-1">
      <ul role="list" aria-busy=${busy.value}>
        ${rows.map((row) => html`<${Row} key=${row.id} of=${row} />`)}
      </ul>
      ${cursor.value && html`<${More} />`}
    </div>
    ${isAway && html`<button class="pill" onClick=${() => pane.current.scrollTo(0, 0)}>New activity</button>`}
  `;
}

function Row({ of }) {
  const { conversation, page, q } = place.value;
  const to = { conversation: of.id, pane: "" };
  return html`<li>
    <a
      class="row" data-row=${of.id} href=${address(to)} onClick=${goes(to)}
      aria-current=${of.id === conversation ? "true" : undefined}
    >
      <${Avatar} of=${of} />
      <span class="lines">
        <span class="name">${marked(nameOf(of), q)}</span>
        <${ShortTime} at=${of.lastMessageAt} none="" />
        <span class="snippet"><${Snippet} of=${of.lastMessage} q=${q} /></span>
        ${of.unread && html`<span class="unread-dot"><span class="hidden">Unread</span></span>`}
        ${(!page || of.tags.length > 0) &&
        html`<span class="chips">
          ${!page && html`<span class="faint">${pageOf(of)}</span>`}
          ${of.tags.map(({ name }) => html`<span class="chip" key=${name}>${name}</span>`)}
        </span>`}
      </span>
    </a>
  </li>`;
}

function Snippet({ of, q }) {
  if (!of) return html`<em>No messages yet</em>`;
  const who = of.direction === "out" ? "You: " : "";
  if (of.deletedAt) return html`<em>${who}Message unsent</em>`;
  if (of.text) return [who, html`<bdi>${marked(of.text, q)}</bdi>`];
  if (of.attachments) return html`<em>${who}${of.attachments > 1 ? `${of.attachments} attachments` : "Attachment"}</em>`;
  return html`<em>${who}${(of.kind ?? "message").replaceAll("_", " ")}</em>`;
}

function More() {
  const end = useRef();
  useEffect(() => {
    const watcher = new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && loadMore(), {
      root: end.current.closest(".scroller"),
      rootMargin: "800px",
    });
    watcher.observe(end.current);
    return () => watcher.disconnect();
  }, [cursor.value]);
  return html`<p class="more faint" ref=${end}>Loading more…</p>`;
}

function Failed() {
  return html`<div class="empty" role="alert">
    <h2>The conversations cannot be shown</h2>
    <p>${problem.value.message}</p>
    <button class="button" onClick=${reload}>Try again</button>
  </div>`;
}

function Skeleton() {
  return html`<div class="rows" aria-busy="true" aria-label="Loading">
    ${Array.from({ length: 8 }, (_, n) => html`<div class="row skeleton" key=${n}><span class="avatar" /></div>`)}
  </div>`;
}

// A row that moves loses the focus in the browser's eyes: give it back.
function useKeptFocus() {
  const focused = document.activeElement?.dataset.row;
  useLayoutEffect(() => {
    if (focused && document.activeElement?.dataset.row !== focused) rowOf(focused)?.focus({ preventScroll: true });
  });
}

// Whether something came to the top that one has scrolled away from, and what watches that.
function useAwayFromTop(pane, first) {
  const isAway = useSignal(false);
  const hasScrolled = () => pane.current?.scrollTop > AT_TOP_PX;
  useEffect(() => {
    if (hasScrolled()) isAway.value = true;
  }, [first]);
  const onScroll = () => {
    if (!hasScrolled()) isAway.value = false;
  };
  return [isAway.value, onScroll];
}

const rowOf = (id) => document.querySelector(`[data-row="${CSS.escape(id)}"]`);

// Moves the focus `steps` rows on, from the focused row or else the open one.
export function moveFocus(steps) {
  const all = [...document.querySelectorAll("[data-row]")];
  const from = all.indexOf(document.activeElement);
  const start = from >= 0 ? from : all.findIndex((row) => row.ariaCurrent === "true");
  const next = all[Math.max(0, Math.min(all.length - 1, start + steps))];
  next?.focus();
}
