// Times as people say them. What is shown as "3 min" grows older by itself.
import { html, signal } from "../vendor/preact.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

// The pages speak English; whether it is 3 pm or 15:00 is the reader's.
const locale = navigator.language.startsWith("en") ? navigator.language : "en-GB";
const format = (options) => {
  const formatter = new Intl.DateTimeFormat(locale, options);
  return (time) => formatter.format(new Date(time));
};

export const clock = format({ hour: "numeric", minute: "2-digit" });
export const exact = format({ dateStyle: "medium", timeStyle: "medium" });
const weekday = format({ weekday: "short" });
const dayAndMonth = format({ day: "numeric", month: "short" });
const date = format({ day: "numeric", month: "short", year: "numeric" });
const longDay = format({ weekday: "long", day: "numeric", month: "long" });
const longDate = format({ weekday: "long", day: "numeric", month: "long", year: "numeric" });

// The time, at a pace: a list of hundreds of rows does not repaint every second.
function ticking(ms) {
  const time = signal(Date.now());
  const tick = () => document.hidden || (time.value = Date.now());
  setInterval(tick, ms);
  document.addEventListener("visibilitychange", tick);
  return time;
}

const now = ticking(5_000);
const thisSecond = ticking(1_000);

const midnight = (time) => new Date(time).setHours(0, 0, 0, 0);
const daysAgo = (time) => Math.round((midnight(now.value) - midnight(time)) / DAY);
const thisYear = (time) => new Date(time).getFullYear() === new Date(now.value).getFullYear();

// "now", "4 min", "14:03", "Tue", "3 May", "3 May 2024": short enough for a list.
function short(time) {
  const age = now.value - time;
  if (age < MINUTE) return "now";
  if (age < HOUR) return `${Math.floor(age / MINUTE)} min`;
  const days = daysAgo(time);
  if (days === 0) return clock(time);
  if (days < 7) return weekday(time);
  return thisYear(time) ? dayAndMonth(time) : date(time);
}

export function dayName(time) {
  const days = daysAgo(time);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return thisYear(time) ? longDay(time) : longDate(time);
}

// "4 s", "12 min", "3 h 20 min", "5 d": how long something is.
export function duration(ms) {
  if (ms < MINUTE) return `${Math.max(0, Math.floor(ms / 1000))} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < DAY) {
    const minutes = Math.floor((ms % HOUR) / MINUTE);
    return `${Math.floor(ms / HOUR)} h${minutes ? ` ${minutes} min` : ""}`;
  }
  return `${Math.floor(ms / DAY)} d`;
}

// "4 min ago", "in 12 s".
function relative(time) {
  const age = thisSecond.value - time;
  if (Math.abs(age) < 3_000) return "now";
  return age > 0 ? `${duration(age)} ago` : `in ${duration(-age)}`;
}

const shown = (words) => {
  return ({ at, none = "never" }) => {
    if (!at) return html`<span class="faint">${none}</span>`;
    const time = Date.parse(at);
    return html`<time datetime=${at} title=${exact(time)}>${words(time)}</time>`;
  };
};

export const ShortTime = shown(short);
export const RelativeTime = shown(relative);
