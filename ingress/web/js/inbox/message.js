// One message: what was said, what became of it, and what others did to it.
import { html } from "../../vendor/preact.js";
import { Icon } from "../icons.js";
import { place } from "../place.js";
import { clock, exact } from "../time.js";
import { Attachment } from "./attachment.js";
import { nameOf, pageOf } from "./person.js";
import { opened } from "./conversations.js";
import { thread } from "./messages.js";
import { isOnlyEmoji, Text } from "./text.js";

export function Message({ message, begins, ends }) {
  const { direction, sentAt, sentMs, mid } = message;
  const classes = ["message", direction, begins && "begins", ends && "ends"].filter(Boolean).join(" ");
  return html`<article class=${classes} id=${mid} aria-label=${speaker(direction)} title=${exact(sentMs)}>
    <div class="said">
      <${Body} of=${message} />
      <${Reactions} of=${message.reactions} />
    </div>
    ${ends &&
    html`<p class="meta">
      <time datetime=${sentAt}>${clock(sentMs)}</time>
      ${direction === "out" && html`<${Mark} state=${stateOf(message)} />`}
    </p>`}
  </article>`;
}

function speaker(direction) {
  const of = opened.value;
  if (!of) return undefined;
  return `${direction === "out" ? pageOf(of) : nameOf(of)} wrote`;
}

function Body({ of }) {
  if (of.deletedAt) return html`<p class="bubble gone">Message unsent</p>`;
  if (of.unreadableAt && !of.text && !of.attachments.length)
    return html`<p class="bubble gone">Facebook no longer shows this message</p>`;
  return html`
    ${of.replyToMid && html`<${Quote} mid=${of.replyToMid} />`}
    <${Context} of=${of} />
    ${of.attachments.map((one, n) => html`<${Attachment} key=${one.id ?? one.url ?? n} of=${one} />`)}
    ${of.text && html`<${Said} of=${of} />`}
    ${!of.text && !of.attachments.length && html`<p class="bubble gone">${KINDS[of.kind] ?? (of.kind ?? "message").replaceAll("_", " ")}</p>`}
  `;
}

const KINDS = {
  message: "Empty message",
  postback: "Button pressed",
  unsupported: "A kind of message that Facebook does not hand out",
};

function Said({ of }) {
  const classes = ["bubble", isOnlyEmoji(of.text) && "emoji", of.kind === "postback" && "pressed"];
  return html`<p class=${classes.filter(Boolean).join(" ")} dir="auto">
    <${Text} text=${of.text} words=${place.value.q} />
    ${of.numEdit > 0 &&
    html`<span class="edited" title=${of.editedAt && `Edited ${exact(of.editedAt)}`}> (edited)</span>`}
  </p>`;
}

// What a message answers or where it came from, as Facebook tells it beside the text.
function Context({ of }) {
  const words = contextOf(of.kind, of.extra ?? {});
  return words && html`<p class="context">${words}</p>`;
}

function contextOf(kind, { referral, story, quick_reply: quickReply }) {
  if (story) return "Replied to a story";
  if (referral?.source === "ADS") return "Came from an ad";
  if (referral) return "Came through a link";
  if (quickReply) return "Chose a quick reply";
  return kind === "postback" ? "Pressed a button" : null;
}

function Quote({ mid }) {
  const original = thread.value.messages.find((one) => one.mid === mid);
  const show = () => document.getElementById(mid)?.scrollIntoView({ block: "center" });
  return html`<button class="quote" onClick=${show} disabled=${!original}>
    <${Icon} name="reply" />
    <span>${original ? quoted(original) : "An earlier message"}</span>
  </button>`;
}

function quoted({ deletedAt, text, attachments }) {
  if (deletedAt) return "Message unsent";
  return text || (attachments.length ? "Attachment" : "Message");
}

function Reactions({ of }) {
  if (!of.length) return null;
  const counted = new Map();
  for (const { emoji, reaction } of of) {
    const shown = emoji || reaction || "reaction";
    counted.set(shown, (counted.get(shown) ?? 0) + 1);
  }
  return html`<p class="reactions">
    <span class="hidden">Reactions:</span>
    ${[...counted].map(([shown, count]) => html`<span key=${shown}>${shown}${count > 1 ? ` ${count}` : ""}</span>`)}
  </p>`;
}

// Watermarks tell of all messages up to a time: the conversation may know more than the message.
function stateOf({ state, sentMs }) {
  const { readWatermarkMs, deliveredWatermarkMs } = opened.value ?? {};
  if (state === "read" || sentMs <= readWatermarkMs) return "read";
  if (state === "delivered" || sentMs <= deliveredWatermarkMs) return "delivered";
  return "sent";
}

const MARKS = { sent: ["check", "Sent"], delivered: ["checks", "Delivered"], read: ["checks", "Read"] };

function Mark({ state }) {
  const [icon, words] = MARKS[state];
  return html`<span class="mark-of ${state}"><${Icon} name=${icon} /> ${words}</span>`;
}
