// The strip: is it keeping up? Each number with its last fifteen minutes and its threshold.
import { html } from "../../vendor/preact.js";
import { duration } from "../time.js";
import { count, milliseconds, percent, rate } from "./numbers.js";
import { Sparkline } from "./sparkline.js";
import { history, overview } from "./state.js";

// `warn` and `bad` are the values from which a number is amber and red. Cache hits have none: where
// few read, most of what they read has just changed.
const TILES = [
  { label: "Events", field: "eventsPerSecond", show: (value) => `${rate(value)}/s` },
  {
    label: "Acknowledged p99",
    field: "ackP99Ms",
    show: milliseconds,
    beside: ({ ackP50Ms }) => `p50 ${told(ackP50Ms, milliseconds)}`,
    warn: 50,
    bad: 1000,
  },
  {
    label: "Visible p99",
    field: "visibleP99Ms",
    show: milliseconds,
    beside: (strip) => `p50 ${told(strip.visibleP50Ms, milliseconds)}, p95 ${told(strip.visibleP95Ms, milliseconds)}`,
    warn: 100,
    bad: 2000,
  },
  {
    label: "Backlog",
    field: "backlogLength",
    show: count,
    beside: ({ backlogAgeSeconds }) => told(backlogAgeSeconds, age),
    judge: ({ backlogAgeSeconds }) => above(backlogAgeSeconds, 5, 60),
  },
  {
    label: "Syncs running",
    field: "jobsRunning",
    show: count,
    beside: ({ jobsQueued }) => `${told(jobsQueued, count)} queued`,
  },
  { label: "Cache hits", field: "cacheHitRate", show: percent },
  {
    label: "Database pool",
    field: "poolInUse",
    show: count,
    beside: ({ poolMax }) => `of ${told(poolMax, count)}`,
    judge: ({ poolInUse, poolMax }) => above(poolInUse / poolMax, 0.8, 1),
  },
  { label: "Dead letters", field: "deadLetters", show: count, warn: 1, href: "#dead" },
  {
    label: "Workers",
    field: "workersAlive",
    show: count,
    beside: ({ workersAlive }) => (workersAlive ? "alive" : "none is running"),
    judge: ({ workersAlive }) => (workersAlive === 0 ? "bad" : ""),
    href: "#processes",
  },
];

const age = (seconds) => (seconds < 1 ? "keeping up" : `oldest ${duration(seconds * 1000)}`);
const told = (value, show) => (value === null || value === undefined ? "–" : show(value));

function above(value, warn, bad = Infinity) {
  if (value >= bad) return "bad";
  return value >= warn ? "warn" : "";
}

function levelOf({ judge, field, warn, bad }, strip) {
  return judge ? judge(strip) : above(strip[field], warn, bad);
}

export function Strip() {
  const strip = overview.value?.strip;
  return html`<section class="strip" aria-label="Numbers of this moment">
    ${TILES.map((tile) => html`<${Tile} key=${tile.field} tile=${tile} strip=${strip} />`)}
  </section>`;
}

function Tile({ tile, strip }) {
  const level = strip ? levelOf(tile, strip) : "";
  const name = tile.href ? html`<a href=${tile.href}>${tile.label}</a>` : tile.label;
  return html`<div class="tile ${level}">
    <h2>${name}</h2>
    <p class="value">
      ${strip ? told(strip[tile.field], tile.show) : "–"}
      ${level && html`<span class="hidden">${level === "bad" ? "critical" : "needs a look"}</span>`}
    </p>
    <p class="faint beside">${strip && tile.beside ? tile.beside(strip) : "\u00a0"}</p>
    <${Sparkline} values=${history.value?.series[tile.field] ?? []} threshold=${tile.warn} />
  </div>`;
}
