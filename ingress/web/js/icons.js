// Line icons on a 20 x 20 grid, drawn in the colour of the text around them.
import { html } from "../vendor/preact.js";

const PATHS = {
  alert: "M10 3 2.5 16.5h15L10 3Zm0 5v4m0 2.2v.1",
  back: "M12 4 6 10l6 6",
  check: "m4 10.5 4 4 8-9",
  checks: "m1.5 10.5 4 4 8-9m-3.5 8 .8 1 8-9",
  clear: "m5 5 10 10M15 5 5 15",
  copy: "M7 7h9v9H7zM4 13V4h9",
  down: "M10 4v12m-5-5 5 5 5-5",
  file: "M5 2.5h6l4 4v11H5zM11 2.5v4h4",
  info: "M10 2.5a7.5 7.5 0 1 0 0 15 7.5 7.5 0 0 0 0-15ZM10 9v5m0-8v.1",
  link: "M8.5 11.5a3 3 0 0 0 4.3 0l2.9-2.9a3 3 0 0 0-4.3-4.3L10 5.7m1.5 2.8a3 3 0 0 0-4.3 0l-2.9 2.9a3 3 0 0 0 4.3 4.3l1.4-1.4",
  lock: "M5 9h10v8H5zM7 9V6.5a3 3 0 0 1 6 0V9",
  person: "M10 10a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4Zm-6 7c.6-3.2 3-5 6-5s5.4 1.8 6 5",
  photo: "M3 4h14v12H3zM3 13l4-4 4 4 2-2 4 4M13 7.5v.1",
  pin: "M10 17.5s5.5-5 5.5-9.3a5.5 5.5 0 0 0-11 0c0 4.3 5.5 9.3 5.5 9.3Zm0-7.3a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z",
  play: "M6 4v12l10-6z",
  reply: "M8 5 3 10l5 5m-5-5h8c3.5 0 6 2 6 5.5",
  search: "M9 3.500a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11Zm4 9.5 4 4",
  sound: "M4 8v4h3l4 3.500v-11L7 8zM14 7.500a4 4 0 0 1 0 5m1.8-7a7 7 0 0 1 0 9",
};

export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 20 20" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
}
