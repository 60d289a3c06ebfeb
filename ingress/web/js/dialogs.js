// Questions before what cannot be undone, and the list of shortcuts.
import { html, signal, useEffect, useRef } from "../vendor/preact.js";
import { shortcuts, useShortcuts } from "./keys.js";

const asked = signal(null);
const helping = signal(false);

// Answers true or false.
export function confirm(question, { detail, yes }) {
  return new Promise((answer) => (asked.value = { question, detail, yes, answer }));
}

export const showHelp = () => (helping.value = true);

function Dialog({ label, onClose, children }) {
  const dialog = useRef();
  useEffect(() => dialog.current.showModal(), []);
  const outside = (event) => event.target === dialog.current && dialog.current.close();
  return html`<dialog ref=${dialog} aria-label=${label} onClose=${onClose} onClick=${outside}>
    <div class="dialog">${children}</div>
  </dialog>`;
}

function Confirmation({ question, detail, yes, answer }) {
  const agreed = useRef(false);
  const closed = () => {
    asked.value = null;
    answer(agreed.current);
  };
  return html`<${Dialog} label=${question} onClose=${closed}>
    <form method="dialog">
      <h2>${question}</h2>
      <p>${detail}</p>
      <div class="answers">
        <button class="button" autofocus>Cancel</button>
        <button class="button danger" onClick=${() => (agreed.current = true)}>${yes}</button>
      </div>
    </form>
  <//>`;
}

function Help() {
  return html`<${Dialog} label="Keyboard shortcuts" onClose=${() => (helping.value = false)}>
    <h2>Keyboard shortcuts</h2>
    <dl class="shortcuts">
      ${shortcuts().map(
        ({ keys, label }) => html`<div key=${keys}>
          <dt>${keys.split(" ").map((key) => html`<kbd>${key === "Escape" ? "esc" : key}</kbd>`)}</dt>
          <dd>${label}</dd>
        </div>`,
      )}
    </dl>
    <form method="dialog" class="answers"><button class="button" autofocus>Close</button></form>
  <//>`;
}

export function Dialogs() {
  useShortcuts({
    "?": ["Show these shortcuts", showHelp],
    "g i": ["Go to the inbox", () => location.assign("/inbox")],
    "g o": ["Go to ops", () => location.assign("/ops")],
  });
  return html`
    ${asked.value && html`<${Confirmation} ...${asked.value} />`} ${helping.value && html`<${Help} />`}
  `;
}
