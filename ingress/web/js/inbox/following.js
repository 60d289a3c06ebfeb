// Live changes: reads again what changed and is shown, nothing else. While one reading is under
// way, further changes gather; so the pace is the server's, however many come.
import { follow } from "../live.js";
import { loadPages } from "../pages.js";
import { place } from "../place.js";
import { refresh, refreshTop } from "./conversations.js";
import { refreshThread } from "./messages.js";

// More at once than this, and the first slice is read again in one request.
const FEW = 6;
// Kinds of change that no row of the list shows.
const THREAD_ONLY = new Set(["read", "delivery", "reaction"]);
// Kinds that may concern any message of the open thread, not only its newest.
const DEEP = ["content", "edit", "unsend", "reaction"];

const RETRY_MS = 1000;

let changed = new Map(); // conversation id -> kinds
let everything = false;
let reading = false;

export const startFollowing = () =>
  follow("/api/live", {
    onChanges(changes) {
      for (const { conversationId, kinds } of changes) note(conversationId, kinds);
      read();
    },
    onReload() {
      everything = true;
      read();
    },
  });

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
    } catch {
      // Nothing that changed may be forgotten: try again.
      everything ||= all;
      ids.forEach((kinds, id) => note(id, kinds));
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
  reading = false;
}

const readEverything = () =>
  Promise.all([refreshTop(), refreshThread({ deep: true }), loadPages(), refreshOpen()]);

function refreshOpen() {
  const id = place.peek().conversation;
  return id && refresh(id);
}

async function readChanged(ids) {
  const open = place.peek().conversation;
  const kinds = ids.get(open);
  const inList = [...ids.keys()].filter((id) => shownInList(ids.get(id)));
  const one = (id) => refresh(id).catch(unlessGone);
  const many = inList.length > FEW || (inList.length && place.peek().q);
  await Promise.all([
    kinds && refreshThread({ deep: DEEP.some((kind) => kinds.has(kind)) }),
    kinds && one(open),
    many ? refreshTop() : Promise.all(inList.filter((id) => id !== open).map(one)),
  ]);
}

const shownInList = (kinds) => [...kinds].some((kind) => !THREAD_ONLY.has(kind));

function unlessGone(problem) {
  if (problem.status !== 404 && problem.status !== 403) throw problem;
}
