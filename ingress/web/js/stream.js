// Server-sent events over fetch. Unlike EventSource this hears heartbeats, so that a line gone
// silent is noticed; it sees why it was refused, and outlives a proxy's 502.
import { signIn } from "./api.js";

const SILENCE_MS = 40_000; // the server's heartbeat comes every 15 s
const RETRY_MS = 1000;
const RETRY_MAX_MS = 10_000;

// `onEvents(events)`: what came in one piece, as [{ type, data }]; a first event of type "open"
// says whether the server could resume (`data.resumed`).
// `onLine(up)`: the line is up, or down and being tried again. Returns how to end it.
export function listen(path, { onEvents, onLine }) {
  const ended = new AbortController();
  keepConnected(path, onEvents, onLine, ended.signal);
  return () => ended.abort();
}

async function keepConnected(path, onEvents, onLine, ended) {
  const position = { lastId: null };
  let wait = RETRY_MS;
  while (!ended.aborted) {
    try {
      await connectOnce(path, position, ended, onEvents, () => {
        wait = RETRY_MS;
        onLine(true);
      });
    } catch {
      // every ending is answered the same way: try again
    }
    if (ended.aborted) return;
    onLine(false);
    await pause(wait * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 2, RETRY_MAX_MS);
  }
}

async function connectOnce(path, position, ended, onEvents, opened) {
  const silent = new AbortController();
  let watchdog;
  const heard = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => silent.abort(), SILENCE_MS);
  };
  heard();
  try {
    const response = await fetch(path, {
      headers: position.lastId ? { "Last-Event-ID": position.lastId } : {},
      signal: AbortSignal.any([ended, silent.signal]),
      cache: "no-store",
    });
    if (response.status === 401) await signIn();
    if (!response.ok) return;
    opened();
    onEvents([{ type: "open", data: { resumed: position.lastId !== null } }]);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const read = parser(position);
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      heard();
      const events = read(value);
      if (events.length) onEvents(events);
    }
  } finally {
    clearTimeout(watchdog);
  }
}

// https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
function parser(position) {
  let rest = "";
  let type = "message";
  let data = [];
  let id = null;
  return (text) => {
    const events = [];
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines.map((line) => line.replace(/\r$/, ""))) {
      if (line === "") {
        if (id !== null) position.lastId = id;
        if (data.length) events.push({ type, data: JSON.parse(data.join("\n")) });
        [type, data, id] = ["message", [], null];
        continue;
      }
      const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
      if (field === "event") type = value;
      if (field === "data") data.push(value);
      if (field === "id") id = value;
    }
    return events;
  };
}

// Ends early when the machine is back on the network.
function pause(ms) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    addEventListener("online", done);
  });
}
