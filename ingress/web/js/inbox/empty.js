// Empty states: why there is nothing, and what to do next.
import { html } from "../../vendor/preact.js";
import { post } from "../api.js";
import { pages } from "../pages.js";
import { go, place } from "../place.js";
import { may } from "../session.js";
import { attempt } from "../toasts.js";

function Empty({ title, children }) {
  return html`<div class="empty"><h2>${title}</h2>${children}</div>`;
}

const Command = ({ children }) => html`<code class="command">${children}</code>`;

export function NoConversations() {
  const { page, tag, q, unread } = place.value;
  if (q || tag || page || unread) return html`<${NothingMatches} />`;
  if (!pages.value) return null;
  return pages.value.length ? html`<${NothingYet} />` : html`<${NoPages} />`;
}

function NothingMatches() {
  const { q, unread } = place.value;
  const caughtUp = unread && !q;
  return html`<${Empty} title=${caughtUp ? "All caught up" : "Nothing matches"}>
    <p>${caughtUp ? "Nobody is waiting for an answer here." : "No conversation fits this search and these filters."}</p>
    <button class="button" onClick=${() => go({ q: "", tag: "", page: "", unread: "" })}>Show all</button>
  <//>`;
}

function NothingYet() {
  const syncAll = () =>
    attempt(() => post("/api/conversations/sync-all?wait=0"), "Syncing all Pages: conversations appear as they come.");
  return html`<${Empty} title="No conversations yet">
    <p>New messages appear here by themselves. To fetch what was written before:</p>
    <${Command}>pagewire sync --all<//>
    ${may("sync") && html`<button class="button primary" onClick=${syncAll}>Sync all Pages</button>`}
  <//>`;
}

function NoPages() {
  return html`<${Empty} title="No Pages yet">
    <p>Add a Facebook Page, with its access token on standard input:</p>
    <${Command}>pagewire page add PAGE_ID --name NAME --token-file -<//>
    <p>Or every Page that a user token reaches:</p>
    <${Command}>pagewire page import --user-token-file FILE<//>
  <//>`;
}

export function NothingOpen() {
  return html`<${Empty} title="Choose a conversation">
    <p><kbd>j</kbd> <kbd>k</kbd> move, <kbd>enter</kbd> opens, <kbd>/</kbd> searches, <kbd>?</kbd> lists all keys.</p>
  <//>`;
}
