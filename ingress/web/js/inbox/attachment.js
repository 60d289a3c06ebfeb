// What comes with a message, by its kind. Addresses on Facebook's hosts expire: each kind has words
// for a file that is gone.
import { html, useSignal } from "../../vendor/preact.js";
import { Icon } from "../icons.js";
import { External, webAddress } from "./text.js";

export function Attachment({ of }) {
  const Kind = KINDS[of.type] ?? Card;
  return html`<${Kind} of=${of} url=${webAddress(of.url)} />`;
}

function Picture({ of, url }) {
  const gone = useSignal(false);
  const name = of.type === "sticker" ? "Sticker" : "Photo";
  if (!url || gone.value) return html`<${Line} icon="photo" title=${of.title ?? name} detail="Cannot be loaded" />`;
  return html`<${External} href=${url} class="picture ${of.type}">
    <img src=${url} alt=${of.title ?? name} loading="lazy" referrerpolicy="no-referrer" onError=${() => (gone.value = true)} />
  <//>`;
}

function Video({ of, url }) {
  const gone = useSignal(false);
  if (!url || gone.value) return html`<${Line} icon="play" title=${of.title ?? "Video"} detail="Cannot be loaded" />`;
  return html`<video class="video" src=${url} controls preload="metadata" aria-label=${of.title ?? "Video"} onError=${() => (gone.value = true)} />`;
}

function Sound({ of, url }) {
  const gone = useSignal(false);
  if (!url || gone.value) return html`<${Line} icon="sound" title=${of.title ?? "Voice message"} detail="Cannot be loaded" />`;
  return html`<audio class="sound" src=${url} controls preload="metadata" aria-label=${of.title ?? "Voice message"} onError=${() => (gone.value = true)} />`;
}

function File({ of, url }) {
  const detail = [of.mimeType, of.size && size(of.size)].filter(Boolean).join(" · ");
  return html`<${Line} icon="file" title=${of.name ?? of.title ?? "File"} detail=${detail} url=${url} />`;
}

function Place({ of, url }) {
  const { lat, long } = of.coordinates ?? {};
  const map = lat === undefined ? url : `https://www.openstreetmap.org/?mlat=${lat}&mlon=${long}#map=16/${lat}/${long}`;
  const detail = lat === undefined ? "" : `${lat}, ${long}`;
  return html`<${Line} icon="pin" title=${of.title ?? "Location"} detail=${detail} url=${map} />`;
}

// Shares, templates, products, stories, reels, and kinds nobody has seen yet.
function Card({ of, url }) {
  return html`<${Line} icon="link" title=${of.title ?? titleOf(of)} detail=${url && new URL(url).hostname} url=${url} />`;
}

const TITLES = {
  fallback: "Shared link",
  share: "Shared post",
  story_mention: "Mentioned the Page in a story",
  template: "Template",
  unknown: "Attachment",
};

function titleOf({ type, payload }) {
  return payload?.text ?? TITLES[type] ?? sentence(type.replaceAll("_", " "));
}

const sentence = (words) => words[0].toUpperCase() + words.slice(1);

function Line({ icon, title, detail, url }) {
  const shown = html`<${Icon} name=${icon} />
    <span>
      <strong>${title}</strong>
      ${detail && html`<small>${detail}</small>`}
    </span>`;
  return url
    ? html`<${External} class="file" href=${url}>${shown}<//>`
    : html`<span class="file">${shown}</span>`;
}

function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${Math.round(bytes / 1000 ** step)} ${units[step]}`;
}

const KINDS = {
  audio: Sound,
  file: File,
  image: Picture,
  location: Place,
  sticker: Picture,
  video: Video,
};
