// The list: the conversations loaded so far for the filters in the address, newest first.
import { batch, computed, effect, signal } from "../../vendor/preact.js";
import { get, withQuery } from "../api.js";
import { place } from "../place.js";
import { complain } from "../toasts.js";

const SLICE = 50;

const query = computed(() => {
  const { page, tag, q, unread } = place.value;
  return withQuery("/api/conversations", { pageId: page, tag, q, unread, limit: SLICE });
});
const rows = signal([]);
const apart = signal(null); // the open conversation, where the list does not hold it

export const cursor = signal(null);
export const busy = signal(true);
export const problem = signal(null);

// The one that is open stays, though reading it took it out of "unread".
export const conversations = computed(() =>
  rows.value.filter((one) => belongs(one) || one.id === place.value.conversation),
);

export const opened = computed(() => {
  const id = place.value.conversation;
  return [...rows.value, apart.value].find((one) => one && one.id === id) ?? null;
});

const tagsSeen = new Set();
export const knownTags = computed(() => {
  for (const { tags } of rows.value) tags.forEach(({ name }) => tagsSeen.add(name));
  return [...tagsSeen].sort((a, b) => a.localeCompare(b));
});

function belongs({ page, tags, unread }) {
  const wanted = place.value;
  return (
    (!wanted.page || wanted.page === page?.id) &&
    (!wanted.tag || tags.some(({ name }) => name === wanted.tag)) &&
    (!wanted.unread || unread)
  );
}

// Reloads whenever the filters change.
export const keepLoaded = () => effect(() => void load(query.value));

let loading = new AbortController();

async function load(path) {
  loading.abort();
  loading = new AbortController();
  busy.value = true;
  try {
    const slice = await get(path, loading.signal);
    batch(() => {
      rows.value = slice.data;
      cursor.value = slice.nextCursor;
      problem.value = null;
      busy.value = false;
    });
  } catch (caught) {
    if (caught.name === "AbortError") return;
    batch(() => {
      problem.value = caught;
      busy.value = false;
    });
  }
}

export const reload = () => load(query.peek());

let loadingMore = false;

export async function loadMore() {
  if (busy.value || loadingMore || !cursor.value) return;
  loadingMore = true;
  const next = `${query.peek()}&cursor=${encodeURIComponent(cursor.value)}`;
  try {
    const slice = await get(next, loading.signal);
    batch(() => {
      rows.value = merged(rows.value, slice.data);
      cursor.value = slice.nextCursor;
    });
  } catch (caught) {
    if (caught.name !== "AbortError") complain(caught);
  }
  loadingMore = false;
}

// Reads the first slice again. What is loaded below it stays, and so does the open conversation.
export async function refreshTop() {
  const of = query.peek();
  const slice = await get(of);
  if (of !== query.peek()) return;
  const last = slice.nextCursor && slice.data.at(-1);
  const [newest] = rows.value;
  // If not even our newest is among them, there may be others in between.
  const joins = last && newest && byNewest(newest, last) <= 0;
  const isBelow = (one) => joins && byNewest(one, last) > 0;
  batch(() => {
    if (!rows.value.some(isBelow)) cursor.value = slice.nextCursor;
    const isOpen = ({ id }) => id === place.value.conversation;
    rows.value = merged(rows.value.filter((one) => isOpen(one) || isBelow(one)), slice.data);
    problem.value = null;
  });
}

// Reads one conversation again and puts it where it belongs now.
export async function refresh(id) {
  put(await get(`/api/conversations/${id}`));
}

export function put(conversation) {
  const isKnown = rows.value.some(({ id }) => id === conversation.id);
  batch(() => {
    if (isKnown || hasPlace(conversation)) rows.value = merged(rows.value, [conversation]);
    if (conversation.id === place.value.conversation) apart.value = conversation;
  });
}

// Not below what is loaded; and what a search finds, only the server can tell.
function hasPlace(conversation) {
  const isInReach = !cursor.value || byNewest(conversation, rows.value.at(-1)) < 0;
  return isInReach && !place.value.q && belongs(conversation);
}

function merged(old, fresh) {
  const ids = new Set(fresh.map(({ id }) => id));
  return [...old.filter(({ id }) => !ids.has(id)), ...fresh].sort(byNewest);
}

function byNewest(one, other) {
  return lastMs(other) - lastMs(one) || (one.id > other.id ? -1 : Number(one.id < other.id));
}

const lastMs = ({ lastMessageAt }) => (lastMessageAt ? Date.parse(lastMessageAt) : 0);
