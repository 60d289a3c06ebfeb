import { effect, html, render } from "../../vendor/preact.js";
import { useShortcuts } from "../keys.js";
import { loadPages } from "../pages.js";
import { go, place } from "../place.js";
import { loadSession } from "../session.js";
import { attempt } from "../toasts.js";
import { Top } from "../top.js";
import { conversations, keepLoaded, opened } from "./conversations.js";
import { nameOf } from "./person.js";
import { Details } from "./details.js";
import { startFollowing } from "./following.js";
import { List, moveFocus } from "./list.js";
import { keepOpen } from "./messages.js";
import { keepSeen } from "./seen.js";
import { Thread } from "./thread.js";

function Inbox() {
  useShortcuts({
    "/": ["Search", () => document.getElementById("search").focus()],
    j: ["Next conversation", () => moveFocus(1)],
    k: ["Previous conversation", () => moveFocus(-1)],
    Enter: ["Open the conversation", ({ target }) => target.click()],
    u: ["Only unread, or all", () => go({ unread: place.value.unread ? "" : "1" })],
    t: ["Add a tag", () => document.getElementById("add-tag")?.focus()],
    Escape: ["Leave the field, the details or the conversation", leave],
  });
  return html`
    <${Top} current="/inbox" />
    <main class="inbox" data-pane=${pane()}>
      <h1 class="hidden">Inbox</h1>
      <${List} />
      <${Thread} />
      <${Details} />
    </main>
  `;
}

// The one pane that a phone shows.
function pane() {
  const { conversation, pane } = place.value;
  if (!conversation) return "list";
  return pane === "details" ? "details" : "thread";
}

function leave({ target }) {
  if (target.matches("input")) target.blur();
  else if (place.value.pane) go({ pane: "" });
  else go({ conversation: "" });
}

// The number of unread conversations in sight stands in the tab's title.
function keepTitle() {
  effect(() => {
    const unread = conversations.value.filter((one) => one.unread).length;
    const name = opened.value ? nameOf(opened.value) : "Inbox";
    document.title = `${unread ? `(${unread}) ` : ""}${name} · Pagewire`;
  });
}

render(html`<${Inbox} />`, document.getElementById("app"));
keepLoaded();
keepOpen();
keepSeen();
keepTitle();
startFollowing();
attempt(loadSession);
attempt(loadPages);
