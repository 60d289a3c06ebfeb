// The open thread: its messages, oldest first, as far back as they were read.
import { effect, signal } from "../../vendor/preact.js";
import { get, withQuery } from "../api.js";
import { place } from "../place.js";

const SLICE = 50;
const KEPT = 20; // threads that open again without a wait

// { id, messages, cursor, busy, problem }, or null where none is open
export const thread = signal(null);
const kept = new Map();

// Follows the address: the conversation it names is the one that is open.
export const keepOpen = () => effect(() => open(place.value.conversation));

function open(id) {
  if (id === thread.peek()?.id) return;
  if (!id) {
    thread.value = null;
    return;
  }
  show(kept.get(id) ?? { id, messages: null, cursor: null });
  refreshThread().catch(() => null); // the pane says why
}

function show(next) {
  thread.value = { busy: false, problem: null, ...next };
  if (!next.messages) return;
  kept.delete(next.id);
  kept.set(next.id, next);
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
}

const slice = (id, cursor) =>
  get(withQuery(`/api/conversations/${id}/messages`, { limit: SLICE, cursor }));

// Reads the newest slice again, with `deep` all that is loaded. Throws what went wrong.
export async function refreshThread({ deep = false } = {}) {
  const { id, messages } = thread.peek() ?? {};
  if (!id) return;
  try {
    let read = await slice(id);
    const oldest = deep && messages?.[0];
    const fresh = [...read.data];
    while (oldest && read.nextCursor && byTime(fresh.at(-1), oldest) > 0) {
      read = await slice(id, read.nextCursor);
      fresh.push(...read.data);
    }
    if (thread.peek()?.id === id) show(joined(thread.peek(), fresh, read.nextCursor));
  } catch (problem) {
    if (thread.peek()?.id === id) thread.value = { ...thread.peek(), problem };
    throw problem;
  }
}

export async function loadOlder() {
  const { id, messages, cursor, busy } = thread.peek() ?? {};
  if (!cursor || busy) return;
  thread.value = { ...thread.peek(), busy: true };
  try {
    const older = await slice(id, cursor);
    if (thread.peek()?.id !== id) return;
    show({ id, messages: merged(thread.peek().messages, older.data), cursor: older.nextCursor });
  } catch (problem) {
    if (thread.peek()?.id === id) thread.value = { ...thread.peek(), busy: false, problem };
  }
}

// What is older than the fresh slices stays, unless more came in between than they hold.
function joined({ id, messages, cursor }, fresh, nextCursor) {
  const oldest = fresh.at(-1);
  const older = oldest ? (messages ?? []).filter((one) => byTime(one, oldest) < 0) : [];
  const gap = older.length && !messages.some(({ mid }) => mid === oldest.mid);
  return older.length && !gap
    ? { id, messages: merged(older, fresh), cursor }
    : { id, messages: merged([], fresh), cursor: nextCursor };
}

function merged(old, fresh) {
  const mids = new Set(fresh.map(({ mid }) => mid));
  return [...old.filter(({ mid }) => !mids.has(mid)), ...fresh].sort(byTime);
}

function byTime(one, other) {
  return one.sentMs - other.sentMs || (one.mid < other.mid ? -1 : 1);
}
