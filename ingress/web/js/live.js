// The change feed, and whether what is on the screen is live.
import { signal } from "../vendor/preact.js";
import { listen } from "./stream.js";

// "connecting", "live" or "reconnecting"; `since` when it became so.
export const line = signal({ state: "connecting", since: Date.now() });

export function onLine(up) {
  const state = up ? "live" : line.value.state === "connecting" ? "connecting" : "reconnecting";
  if (state !== line.value.state) line.value = { state, since: Date.now() };
}

// `onChanges(changes)`: [{ conversationId, kinds, … }] of one tick.
// `onReload()`: nobody can say what was missed: read anew what is shown.
export function follow(path, { onChanges, onReload }) {
  return listen(path, {
    onLine,
    onEvents(events) {
      const missed = (event) =>
        event.type === "reset" || (event.type === "open" && !event.data.resumed);
      if (events.some(missed)) onReload();
      const changes = events.filter((event) => event.type === "change");
      if (changes.length) onChanges(changes.map((event) => event.data));
    },
  });
}
