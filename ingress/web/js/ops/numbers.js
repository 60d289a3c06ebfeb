// Numbers as the strip and the tables show them.

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (value) => (value >= 100_000 ? short : whole).format(value);
export const rate = (value) => (value < 10 ? String(Number(value.toFixed(1))) : count(Math.round(value)));
export const percent = (value) => `${(value * 100).toFixed(value < 0.9995 && value > 0 ? 1 : 0)} %`;

export function milliseconds(value) {
  if (value < 10) return `${Number(value.toFixed(1))} ms`;
  return value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
}

export function bytes(value) {
  return value < 1e9 ? `${Math.round(value / 1e6)} MB` : `${(value / 1e9).toFixed(1)} GB`;
}

// "1 letter", "2 letters"
export const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;
