// Search and filters. The address holds them; here they are only changed.
import { html, useEffect, useRef } from "../../vendor/preact.js";
import { Icon } from "../icons.js";
import { pages } from "../pages.js";
import { go, place } from "../place.js";
import { knownTags } from "./conversations.js";

const TYPING_MS = 180;

export function Filters() {
  return html`<div class="filters">
    <${Search} />
    <div class="narrow">
      <${PageFilter} />
      <${TagFilter} />
      <button
        class="button toggle" aria-pressed=${Boolean(place.value.unread)}
        onClick=${() => go({ unread: place.value.unread ? "" : "1" })}
      >
        Unread
      </button>
    </div>
  </div>`;
}

function Search() {
  const input = useRef();
  const timer = useRef();
  const { q = "" } = place.value;
  useEffect(() => {
    if (input.current !== document.activeElement) input.current.value = q;
  }, [q]);
  const search = () => go({ q: input.current.value.trim() }, { replace: true });
  const typed = () => {
    clearTimeout(timer.current);
    timer.current = setTimeout(search, TYPING_MS);
  };
  const submitted = (event) => {
    event.preventDefault();
    clearTimeout(timer.current);
    search();
  };
  return html`<form role="search" class="search" onSubmit=${submitted}>
    <${Icon} name="search" />
    <input
      ref=${input} id="search" type="search" placeholder="Search" aria-label="Search messages and names"
      defaultValue=${q} onInput=${typed} onSearch=${search} autocomplete="off"
    />
    <kbd aria-hidden="true">/</kbd>
  </form>`;
}

function PageFilter() {
  const { page = "" } = place.value;
  return html`<select aria-label="Page" value=${page} onChange=${(event) => go({ page: event.target.value })}>
    <option value="">All Pages</option>
    ${(pages.value ?? [])
      .filter(({ id, status }) => status !== "removed" || id === page)
      .map(({ id, name }) => html`<option key=${id} value=${id} selected=${id === page}>${name}</option>`)}
  </select>`;
}

function TagFilter() {
  const { tag = "" } = place.value;
  const tags = knownTags.value.includes(tag) || !tag ? knownTags.value : [tag, ...knownTags.value];
  if (!tags.length) return null;
  return html`<select aria-label="Tag" value=${tag} onChange=${(event) => go({ tag: event.target.value })}>
    <option value="">Any tag</option>
    ${tags.map((name) => html`<option key=${name} value=${name} selected=${name === tag}>${name}</option>`)}
  </select>`;
}
