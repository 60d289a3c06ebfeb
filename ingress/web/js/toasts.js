// Short notes at the edge of the screen: what was done, or why it was not.
import { html, signal } from "../vendor/preact.js";

const SHOWN_MS = 5_000;
const notes = signal([]);
let made = 0;

export const say = (text) => add(text, "done");
export const complain = (problem) => add(problem.message, "error");

function add(text, kind) {
  const note = { text, kind, id: ++made };
  notes.value = [...notes.value.slice(-2), note];
  setTimeout(() => (notes.value = notes.value.filter((other) => other !== note)), SHOWN_MS);
}

// Runs something a person asked for, and says what came of it.
export async function attempt(work, done) {
  try {
    const result = await work();
    if (done) say(typeof done === "function" ? done(result) : done);
    return result;
  } catch (problem) {
    complain(problem);
    return null;
  }
}

export function Toasts() {
  return html`<div class="toasts" role="status">
    ${notes.value.map(({ id, text, kind }) => html`<p key=${id} class="toast ${kind}">${text}</p>`)}
  </div>`;
}
