// The thread pane: both directions of the open conversation, newest at the bottom.
import { html, useEffect, useLayoutEffect, useRef, useSignal } from "../../vendor/preact.js";
import { Icon } from "../icons.js";
import { address, go, goes, place } from "../place.js";
import { dayName } from "../time.js";
import { attempt } from "../toasts.js";
import { Avatar, nameOf, pageOf, platformOf } from "./person.js";
import { opened } from "./conversations.js";
import { NothingOpen } from "./empty.js";
import { useFound } from "./finding.js";
import { Message } from "./message.js";
import { loadOlder, refreshThread, thread } from "./messages.js";

const GROUP_MS = 5 * 60_000;
const AT_END_PX = 80;

export function Thread() {
  const open = thread.value;
  return html`<section class="thread pane" aria-label="Conversation">
    ${open ? html`<${Head} /><${Messages} key=${open.id} />` : html`<${NothingOpen} />`}
  </section>`;
}

function Head() {
  const of = opened.value;
  const toDetails = { pane: "details" };
  return html`<header class="pane-head">
    <button class="button quiet back" onClick=${() => go({ conversation: "" })} aria-label="Back to the list">
      <${Icon} name="back" />
    </button>
    ${of &&
    html`<${Avatar} of=${of} />
      <div class="who">
        <h2>${nameOf(of)}</h2>
        <p class="faint">${pageOf(of)} · ${platformOf(of)}</p>
      </div>
      <a class="button quiet to-details" href=${address(toDetails)} onClick=${goes(toDetails)} aria-label="Details">
        <${Icon} name="info" />
      </a>`}
  </header>`;
}

function Messages() {
  const { messages, cursor, busy, problem } = thread.value;
  const scroller = useRef();
  const [unseen, onScroll] = useStayingInPlace(scroller, messages);
  useFound(scroller, messages, cursor);
  useFocusOnPhone(scroller, messages);
  if (problem && !messages) return html`<${Failed} problem=${problem} />`;
  if (!messages) return html`<div class="messages scroller" aria-busy="true" />`;
  // Reversed, so that the browser keeps the distance to the end: older messages that come in
  // above, or a picture that loads, move nothing.
  return html`
    <div
      class="messages scroller reversed" ref=${scroller} onScroll=${onScroll}
      tabindex="0" role="log" aria-live="off" aria-label="Messages"
    >
      <div class="inner">
        ${cursor ? html`<${Older} busy=${busy} />` : html`<${Beginning} />`}
        ${byDay(messages).map(([day, said]) => html`<${Day} key=${day} day=${day} said=${said} />`)}
      </div>
    </div>
    ${unseen > 0 &&
    html`<button class="pill" onClick=${() => scroller.current.scrollTo(0, 0)}>
      <${Icon} name="down" /> ${unseen === 1 ? "New message" : `${unseen} new messages`}
    </button>`}
  `;
}

// A section of its own, so that its name stays in sight only as long as its messages are.
function Day({ day, said }) {
  return html`<section aria-label=${day}>
    <h3 class="day"><span>${day}</span></h3>
    ${said.map(
      (message, n) => html`<${Message}
        key=${message.mid} message=${message}
        begins=${!isGroup(said[n - 1], message)} ends=${!isGroup(message, said[n + 1])}
      />`,
    )}
  </section>`;
}

// Pairs of a day's name and its messages.
function byDay(messages) {
  const days = new Map();
  for (const message of messages) {
    const day = dayName(message.sentMs);
    if (!days.has(day)) days.set(day, []);
    days.get(day).push(message);
  }
  return [...days];
}

// Messages of one side, close together, share one time below.
const isGroup = (one, next) =>
  one && next && one.direction === next.direction && next.sentMs - one.sentMs < GROUP_MS;

function Older({ busy }) {
  const top = useRef();
  const { cursor } = thread.value;
  useEffect(() => {
    const watcher = new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && loadOlder(), {
      root: top.current.closest(".scroller"),
      rootMargin: "600px",
    });
    watcher.observe(top.current);
    return () => watcher.disconnect();
  }, [cursor]);
  return html`<p class="edge faint" ref=${top}>${busy ? "Loading older messages…" : ""}</p>`;
}

function Beginning() {
  if (!opened.value) return null;
  return html`<p class="edge faint">
    ${opened.value.historyComplete
      ? "This is where the conversation begins."
      : "Older messages were not fetched yet: a full sync brings them."}
  </p>`;
}

function Failed({ problem }) {
  return html`<div class="empty" role="alert">
    <h2>${problem.status === 404 ? "There is no such conversation" : "The messages cannot be shown"}</h2>
    <p>${problem.message}</p>
    <button class="button" onClick=${() => attempt(refreshThread)}>Try again</button>
  </div>`;
}

// Where the list has gone, the focus would have gone with it.
function useFocusOnPhone(scroller, messages) {
  useEffect(() => {
    const isListThere = document.querySelector(".list").checkVisibility();
    if (!isListThere) scroller.current?.focus({ preventScroll: true });
  }, [Boolean(messages)]);
}

// Whoever reads further up is not pulled down by what arrives: it is counted instead. Returns how
// much that is, and what watches the way down.
function useStayingInPlace(scroller, messages) {
  const unseen = useSignal(0);
  const last = useRef(null);
  // While this renders, the document still stands as it was before. What is above the newest
  // message does not count: it may grow at the same moment, and moves nothing.
  const room = roomFrom(scroller.current, last.current);
  useLayoutEffect(() => {
    const box = scroller.current;
    if (!box || !messages?.length) return;
    const before = last.current;
    last.current = messages.at(-1);
    const arrived = before ? messages.filter(({ sentMs }) => sentMs > before.sentMs).length : 0;
    if (arrived && box.scrollTop < -AT_END_PX) {
      box.scrollTop -= roomFrom(box, before) - room;
      unseen.value += arrived;
    }
  }, [messages]);
  const onScroll = () => {
    if (scroller.current.scrollTop >= -AT_END_PX) unseen.value = 0;
  };
  return [unseen.value, onScroll];
}

// The height in pixels from a message's top to the end of all.
function roomFrom(box, message) {
  const shown = message && box && document.getElementById(message.mid);
  return shown ? box.firstElementChild.getBoundingClientRect().bottom - shown.getBoundingClientRect().top : 0;
}
