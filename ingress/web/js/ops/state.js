// What the ops page shows, asked for again and again while someone looks at it.
import { computed, signal } from "../../vendor/preact.js";
import { get } from "../api.js";
import { onLine } from "../live.js";
import { loadPages, pages } from "../pages.js";

const STATE_MS = 2_000;
const RUNNING_MS = 1_000; // while a sync runs, so that its bar moves
const HISTORY_MS = 5_000; // the step of the history
const DEAD_MS = 10_000;

export const overview = signal(null); // { strip, workers, jobs, cron, alerts }
export const history = signal(null); // { step, series }
export const letters = signal(null); // dead letters by reason

export const pageNames = computed(() => {
  const names = new Map();
  for (const { facebookPageId, instagramId, name } of pages.value ?? []) {
    names.set(facebookPageId, name);
    if (instagramId) names.set(instagramId, `${name} (Instagram)`);
  }
  return names;
});

export const loadOverview = async () => (overview.value = await get("/api/ops"));
export const loadHistory = async () => (history.value = await get("/api/ops/history"));
export const loadLetters = async () => (letters.value = (await get("/api/dead?limit=1")).groups);

const isSyncing = () => (pages.value ?? []).some(({ run }) => run && run.state !== "interrupted");

export function keepLoaded() {
  keepAsking(loadOverview, () => STATE_MS);
  keepAsking(loadPages, () => (isSyncing() ? RUNNING_MS : STATE_MS));
  keepAsking(loadHistory, () => HISTORY_MS);
  keepAsking(loadLetters, () => DEAD_MS);
}

// One question at a time; none while the page is hidden.
async function keepAsking(ask, pause) {
  for (;;) {
    await ask().then(
      () => onLine(true),
      (problem) => problem.status === 0 && onLine(false),
    );
    await new Promise((resolve) => setTimeout(resolve, pause()));
    await whileHidden();
  }
}

function whileHidden() {
  if (!document.hidden) return null;
  return new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
}
