// The details pane: who this is, their tags, and how complete what we hold is.
import { html } from "../../vendor/preact.js";
import { Icon } from "../icons.js";
import { go } from "../place.js";
import { duration, RelativeTime } from "../time.js";
import { attempt } from "../toasts.js";
import { Avatar, nameOf, pageOf, platformOf } from "./person.js";
import { opened } from "./conversations.js";
import { thread } from "./messages.js";
import { Tags } from "./tags.js";

// https://developers.facebook.com/docs/messenger-platform/policy/policy-overview
const ANSWER_MS = 24 * 3_600_000;

export function Details() {
  const of = opened.value;
  return html`<aside class="details pane" aria-label="Details">
    ${of && html`<${About} key=${of.id} of=${of} />`}
  </aside>`;
}

function About({ of }) {
  return html`
    <header class="pane-head">
      <button class="button quiet back" onClick=${() => go({ pane: "" })} aria-label="Back to the messages">
        <${Icon} name="back" />
      </button>
      <h2>Details</h2>
    </header>
    <div class="scroller" tabindex="0" role="group" aria-label="Details">
      <div class="portrait">
        <${Avatar} of=${of} />
        <h3>${nameOf(of)}</h3>
        <p class="faint">${pageOf(of)} · ${platformOf(of)}</p>
      </div>
      <${Tags} of=${of} />
      <dl class="facts">
        <${Fact} name="Answer window"><${AnswerWindow} /><//>
        <${Fact} name="Last message"><${RelativeTime} at=${of.lastMessageAt} /><//>
        <${Fact} name="Seen here"><${RelativeTime} at=${of.seenAt} none="not yet" /><//>
        <${Fact} name="History">${of.historyComplete ? "complete" : "not fetched in full yet"}<//>
        <${Fact} name=${of.platform === "instagram" ? "Instagram id" : "Person's id"}><code>${of.participantId}</code><//>
        ${of.threadId && html`<${Fact} name="Thread"><code>${of.threadId}</code><//>`}
      </dl>
      <p class="copies">
        <${Copy} text=${() => location.href}>Copy link<//>
        <${Copy} text=${() => curl(of.id)}>Copy as curl<//>
      </p>
    </div>
  `;
}

function Fact({ name, children }) {
  return html`<div>
    <dt>${name}</dt>
    <dd>${children}</dd>
  </div>`;
}

function AnswerWindow() {
  const messages = thread.value?.messages;
  if (!messages) return "–";
  const last = messages.findLast(({ direction }) => direction === "in");
  const left = last ? last.sentMs + ANSWER_MS - Date.now() : 0;
  return left > 0 ? `open for ${duration(left)}` : "closed: 24 hours since their last message";
}

function Copy({ text, children }) {
  const copy = () => attempt(() => navigator.clipboard.writeText(text()), "Copied.");
  return html`<button class="button" onClick=${copy}><${Icon} name="copy" /> ${children}</button>`;
}

const curl = (id) =>
  `curl -H "Authorization: Bearer $PAGEWIRE_KEY" ${location.origin}/api/conversations/${id}/messages`;
