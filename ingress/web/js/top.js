// The bar both pages share: where one is, whether it is live, and what belongs to the person.
import { html } from "../vendor/preact.js";
import { Dialogs, showHelp } from "./dialogs.js";
import { Icon } from "./icons.js";
import { line } from "./live.js";
import { density, theme } from "./preferences.js";
import { session, signOut } from "./session.js";
import { clock } from "./time.js";
import { attempt, Toasts } from "./toasts.js";

const WORDS = {
  connecting: () => "Connecting…",
  live: () => "Live",
  reconnecting: (since) => `Reconnecting · stale since ${clock(since)}`,
};

export function Top({ current }) {
  return html`
    <header class="top">
      <a class="brand" href="/inbox" aria-label="Pagewire"><${Mark} /><span>Pagewire</span></a>
      <nav aria-label="Pages">
        <${Tab} href="/inbox" current=${current}>Inbox<//>
        <${Tab} href="/ops" current=${current}>Ops<//>
      </nav>
      <${Line} />
      <button class="button quiet" onClick=${showHelp} aria-label="Keyboard shortcuts" title="Keyboard shortcuts">
        <kbd>?</kbd>
      </button>
      <button class="button quiet" popovertarget="you" aria-label="You and your settings" title="You and your settings">
        <${Icon} name="person" />
      </button>
      <${You} />
    </header>
    <${Dialogs} />
    <${Toasts} />
  `;
}

function Mark() {
  return html`<svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="8" /><path d="M5 17h6l3-8 4 14 3-6h6" />
  </svg>`;
}

function Tab({ href, current, children }) {
  return html`<a href=${href} aria-current=${href === current ? "page" : undefined}>${children}</a>`;
}

function Line() {
  const { state, since } = line.value;
  return html`<p class="line ${state}" role="status">${WORDS[state](since)}</p>`;
}

function You() {
  return html`<div id="you" class="menu" popover>
    <p>
      <strong>${session.value?.name}</strong>
      <span class="faint">key with scope ${session.value?.scope}</span>
    </p>
    <${Choice} label="Theme" of=${theme} options=${["system", "light", "dark"]} />
    <${Choice} label="Density" of=${density} options=${["comfortable", "compact"]} />
    <p class="links">
      <a href="/api/docs">API</a>
      <button class="plain" onClick=${() => attempt(signOut)}>Sign out</button>
    </p>
  </div>`;
}

function Choice({ label, of, options }) {
  return html`<fieldset class="choice">
    <legend>${label}</legend>
    <div class="options">
      ${options.map(
        (option) => html`<label key=${option}>
          <input type="radio" name=${label} checked=${of.value === option} onChange=${() => (of.value = option)} />
          <span>${option}</span>
        </label>`,
      )}
    </div>
  </fieldset>`;
}
