// The tags of a conversation: ours can be edited, those mirrored from Facebook are labels there.
import { html, useRef } from "../../vendor/preact.js";
import { put as add, remove } from "../api.js";
import { Icon } from "../icons.js";
import { may } from "../session.js";
import { attempt } from "../toasts.js";
import { knownTags, put } from "./conversations.js";

const pathOf = (id, name) => `/api/conversations/${id}/tags/${encodeURIComponent(name)}`;

// Shown at once; what the server answers holds, and if it refuses, what was there before.
async function change(conversation, tags, send) {
  put({ ...conversation, tags });
  put((await attempt(send)) ?? conversation);
}

function addTag(conversation, name) {
  if (!name || conversation.tags.some((tag) => tag.name === name)) return;
  const tags = [...conversation.tags, { name, source: "local" }];
  change(conversation, tags, () => add(pathOf(conversation.id, name)));
}

function removeTag(conversation, name) {
  const tags = conversation.tags.filter((tag) => tag.name !== name || tag.source !== "local");
  change(conversation, tags, () => remove(pathOf(conversation.id, name)));
}

export function Tags({ of }) {
  const mayEdit = may("sync");
  return html`<section class="tags" aria-labelledby="tags-title">
    <h3 id="tags-title">Tags</h3>
    <ul role="list" class="chips">
      ${of.tags.map((tag) => html`<${Tag} key=${tag.source + tag.name} tag=${tag} of=${of} mayEdit=${mayEdit} />`)}
      ${!of.tags.length && !mayEdit && html`<li class="faint">None</li>`}
    </ul>
    ${mayEdit && html`<${AddTag} of=${of} />`}
  </section>`;
}

function Tag({ tag: { name, source }, of, mayEdit }) {
  return html`<li class="chip">
    ${name}
    ${source === "facebook" && html`<span title="A label on Facebook: change it there"><${Icon} name="lock" /></span>`}
    ${source === "local" &&
    mayEdit &&
    html`<button class="plain" aria-label=${`Remove tag ${name}`} onClick=${() => removeTag(of, name)}>
      <${Icon} name="clear" />
    </button>`}
  </li>`;
}

function AddTag({ of }) {
  const input = useRef();
  const submit = (event) => {
    event.preventDefault();
    addTag(of, input.current.value.trim());
    input.current.value = "";
  };
  return html`<form class="add-tag" onSubmit=${submit}>
    <input ref=${input} id="add-tag" list="known-tags" placeholder="Add a tag" aria-label="Add a tag" maxlength="64" autocomplete="off" />
    <datalist id="known-tags">${knownTags.value.map((name) => html`<option key=${name} value=${name} />`)}</datalist>
  </form>`;
}
