// How a conversation is called, and a picture of it: initials on a colour of the person's own.
import { html } from "../../vendor/preact.js";

export const nameOf = ({ participantName, platform }) =>
  participantName || `${platformOf({ platform })} user`;

export const pageOf = ({ page, pageId }) => page?.name ?? `Page ${pageId}`;
export const platformOf = ({ platform }) => (platform === "instagram" ? "Instagram" : "Messenger");

function hue(id) {
  let sum = 0;
  for (const char of id) sum = (sum * 31 + char.codePointAt(0)) % 360;
  return sum;
}

function initials(name) {
  const words = name.trim().split(/\s+/);
  const letters = [words[0], words.length > 1 ? words.at(-1) : ""].map((word) => [...word][0] ?? "");
  return letters.join("").toUpperCase();
}

export function Avatar({ of }) {
  return html`<span class="avatar ${of.platform}" style=${{ "--hue": hue(of.participantId) }} aria-hidden="true">
    ${of.participantName ? initials(of.participantName) : "?"}
  </span>`;
}
