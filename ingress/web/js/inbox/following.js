// Live changes: reads again what changed and is shown, nothing else. The first change is read at
// once; while that is under way, and for a moment after, further ones gather.
import { follow } from "../live.js";
import { loadPages, pages } from "../pages.js";
import { place } from "../place.js";
import { refresh, refreshTop } from "./conversations.js";
import { refreshThread } from "./messages.js";

// More at once than this, and the first slice is read again in one request.
const FEW = 3;
const PACE_MS = 50; // a busy list that moves more often can be read by nobody
// Kinds of change that no row of the list shows.
const THREAD_ONLY = new Set(["read", "delivery", "reaction"]);
// Kinds that may concern any message of the open thread, not only its newest.
const DEEP = ["content", "edit", "unsend", "reaction", "expired"];

const SEARCH_MS = 2000; // a search costs the server more than a look at a list
const RETRY_MS = 1000;

let changed = new Map(); // conversation id -> kinds
let everything = false;
let reading = false;
let searching = null;

export const startFollowing = () =>
  follow("/api/live", {
    onChanges(changes) {
      for (const change of changes.filter(isShown)) note(change.conversationId, change.kinds);
      read();
    },
    onReload() {
      everything = true;
      read();
    },
  });

// Not where the list is of another Page.
function isShown({ conversationId, pageId }) {
  const { page, conversation } = place.peek();
  const chosen = page && pages.peek()?.find(({ id }) => id === page);
  return !chosen || conversationId === conversation || [chosen.facebookPageId, chosen.instagramId].includes(pageId);
}

function note(id, kinds) {
  changed.set(id, new Set([...(changed.get(id) ?? []), ...kinds]));
}

async function read() {
  if (reading) return;
  reading = true;
  while (everything || changed.size) {
    const [all, ids] = [everything, changed];
    [everything, changed] = [false, new Map()];
    try {
      await (all ? readEverything() : readChanged(ids));
      await pause(PACE_MS);
    } catch {
      // Nothing that changed may be forgotten: try again.
      everything ||= all;
      ids.forEach((kinds, id) => note(id, kinds));
      await pause(RETRY_MS);
    }
  }
  reading = false;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function readEverything() {
  const open = place.peek().conversation;
  return Promise.all([
    refreshTop(),
    loadPages(),
    open && refresh(open).catch(unlessGone),
    refreshThread({ deep: true }).catch(unlessGone),
  ]);
}

async function readChanged(ids) {
  const open = place.peek().conversation;
  const kinds = ids.get(open);
  const inList = [...ids.keys()].filter((id) => shownInList(ids.get(id)));
  const one = (id) => refresh(id).catch(unlessGone);
  await Promise.all([
    kinds && refreshThread({ deep: DEEP.some((kind) => kinds.has(kind)) }).catch(unlessGone),
    kinds && one(open),
    readList(inList.filter((id) => id !== open), one),
  ]);
}

function readList(ids, one) {
  if (place.peek().q) return ids.length && searchSoon();
  return ids.length > FEW ? refreshTop() : Promise.all(ids.map(one));
}

// Only the server can say what a search finds now.
function searchSoon() {
  searching ??= setTimeout(() => {
    searching = null;
    refreshTop().catch(searchSoon);
  }, SEARCH_MS);
}

const shownInList = (kinds) => [...kinds].some((kind) => !THREAD_ONLY.has(kind));

function unlessGone(problem) {
  if (problem.status !== 404 && problem.status !== 403) throw problem;
}
