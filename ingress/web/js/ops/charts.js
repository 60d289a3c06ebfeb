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
    lines: [
      { field: "visibleP99Ms", label: "visible p99", color: "--bad" },
      { field: "visibleP95Ms", label: "p95", color: "--warn" },
      { field: "visibleP50Ms", label: "p50", color: "--good" },
      { field: "ackP99Ms", label: "acknowledged p99", color: "--accent" },
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
  useEffect(() => plot.current?.setData(columns(chart, history.value)), [history.value]);
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

function columns({ lines }, told) {
  const values = lines.map(({ field }) => told?.series[field] ?? []);
  const step = told?.step ?? 5;
  const now = Date.now() / 1000;
  const times = values[0].map((_, n) => now - (values[0].length - 1 - n) * step);
  return [times, ...values];
}

function options({ lines, show }, box) {
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
    scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.15, 2)] } },
    axes: [
      { ...axis, values: (_, times) => times.map((time) => clock(time * 1000)), space: 90, size: 28 },
      { ...axis, values: (_, values) => values.map(show), size: 58 },
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
