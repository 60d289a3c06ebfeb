// The last fifteen minutes, large: how much came, and how long it took.
import { html, useEffect, useRef } from "../../vendor/preact.js";
import Plot from "../../vendor/uplot.js";
import { theme } from "../preferences.js";
import { clock } from "../time.js";
import { milliseconds, rate } from "./numbers.js";
import { history } from "./state.js";

const HEIGHT = 190;
const CHARTS = [
  {
    title: "Events a second",
    show: rate,
    lines: [{ field: "eventsPerSecond", label: "events/s", color: "--accent", filled: true }],
  },
  {
    title: "Latency",
    show: milliseconds,
    least: 0.1, // it has to show a median of 5 ms beside a p99 of 5 s
    lines: [
      { field: "visibleP99Ms", label: "visible p99", color: "--bad" },
      { field: "visibleP95Ms", label: "p95", color: "--warn" },
      { field: "visibleP50Ms", label: "p50", color: "--good" },
      { field: "ackP99Ms", label: "ack p99", color: "--accent" },
    ],
  },
];

export function Charts() {
  return html`<section class="charts" aria-label="The last fifteen minutes">
    ${CHARTS.map((chart) => html`<${Chart} key=${chart.title} chart=${chart} />`)}
  </section>`;
}

function Chart({ chart }) {
  const box = useRef();
  const plot = useRef();
  // Colours are drawn, not styled: a new theme needs a new plot.
  useEffect(() => {
    const draw = () => {
      plot.current?.destroy();
      plot.current = new Plot(options(chart, box.current), columns(chart, history.peek()), box.current);
      tellNewest(plot.current);
    };
    draw();
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", draw);
    const resized = new ResizeObserver(([{ contentRect }]) =>
      plot.current.setSize({ width: contentRect.width, height: HEIGHT }),
    );
    resized.observe(box.current);
    return () => {
      system.removeEventListener("change", draw);
      resized.disconnect();
      plot.current.destroy();
      plot.current = null;
    };
  }, [theme.value]);
  useEffect(() => {
    plot.current?.setData(columns(chart, history.value));
    tellNewest(plot.current);
  }, [history.value]);
  return html`<figure class="card chart">
    <figcaption>${chart.title}</figcaption>
    <div ref=${box} role="img" aria-label=${summary(chart)} />
  </figure>`;
}

// What one would read off the chart at its right end.
function summary({ title, lines, show }) {
  const last = ({ field }) => history.value?.series[field]?.findLast((value) => value !== null) ?? null;
  const told = lines.map((line) => `${line.label} ${last(line) === null ? "unknown" : show(last(line))}`);
  return `${title}, the last fifteen minutes. Now: ${told.join(", ")}.`;
}

// What the legend says while nobody points at the chart.
function tellNewest(plot) {
  if (plot?.data[0].length && plot.cursor.idx == null) plot.setLegend({ idx: plot.data[0].length - 1 });
}

function columns({ lines, least = 0 }, told) {
  const drawable = (value) => (value === null ? null : Math.max(value, least));
  const values = lines.map(({ field }) => (told?.series[field] ?? []).map(drawable));
  const step = told?.step ?? 5;
  const now = Date.now() / 1000;
  const times = values[0].map((_, n) => now - (values[0].length - 1 - n) * step);
  return [times, ...values];
}

// From zero; or, where there is no zero, whole powers of ten.
function scale(least) {
  if (!least) return { range: (_, low, high) => [0, Math.max(high * 1.15, 2)] };
  const power = (value, round) => 10 ** round(Math.log10(value));
  return { distr: 3, range: (_, low, high) => [power(low ?? 1, Math.floor), power((high ?? 100) * 1.01, Math.ceil)] };
}

function powers(_, axis, low, high) {
  return Array.from({ length: Math.round(Math.log10(high / low)) + 1 }, (_, n) => low * 10 ** n);
}

function options({ lines, show, least }, box) {
  const color = (name) => getComputedStyle(box).getPropertyValue(name);
  const axis = {
    stroke: drawn(box, "--soft"),
    grid: { stroke: drawn(box, "--line"), width: 1 },
    ticks: { show: false },
    font: `11px ${color("font-family") || "sans-serif"}`,
  };
  return {
    width: box.clientWidth,
    height: HEIGHT,
    cursor: { sync: { key: "ops" }, drag: { x: false, y: false }, points: { size: 6 } },
    legend: { live: true, markers: { width: 2 } },
    scales: { y: scale(least) },
    hooks: { setCursor: [tellNewest] },
    axes: [
      { ...axis, values: (_, times) => times.map((time) => clock(time * 1000)), space: 90, size: 28 },
      { ...axis, values: (_, values) => values.map(show), size: 58, ...(least && { splits: powers }) },
    ],
    series: [
      { label: "Time", value: (_, time) => (time ? clock(time * 1000) : "–") },
      ...lines.map(({ label, color: name, filled }) => ({
        label,
        stroke: drawn(box, name),
        fill: filled ? `color-mix(in srgb, ${drawn(box, name)} 14%, transparent)` : undefined,
        width: 1.75,
        spanGaps: true,
        points: { show: false },
        value: (_, value) => (value === null || value === undefined ? "–" : show(value)),
      })),
    ],
  };
}

// The colour a canvas can draw with: what `light-dark()` comes to just now.
function drawn(box, name) {
  box.style.color = `var(${name})`;
  const { color } = getComputedStyle(box);
  box.style.color = "";
  return color;
}
