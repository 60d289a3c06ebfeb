// Text of people, as Preact nodes: never as HTML.
import { html } from "../../vendor/preact.js";

const LINK = /https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]}]/g;

// A link only where it leads to the web; `javascript:` and its like lead nowhere.
export const webAddress = (url) => (/^https?:\/\//i.test(url ?? "") ? url : undefined);

export function External({ href, children, ...rest }) {
  return html`<a href=${href} target="_blank" rel="noopener noreferrer" ...${rest}>${children}</a>`;
}

// `words`: the search, whose words are marked.
export function Text({ text, words }) {
  const nodes = [];
  let end = 0;
  for (const { 0: url, index } of text.matchAll(LINK)) {
    nodes.push(marked(text.slice(end, index), words));
    nodes.push(html`<${External} href=${url}>${marked(url, words)}<//>`);
    end = index + url.length;
  }
  return [...nodes, marked(text.slice(end), words)];
}

export function marked(text, words) {
  const wanted = split(words);
  if (!wanted.length) return text;
  const parts = text.split(new RegExp(`(${wanted.map(beginning).join("|")})`, "giu"));
  return parts.map((part, n) => (n % 2 ? html`<mark>${part}</mark>` : part));
}

// As the search finds: all words, each at the beginning of one.
export const matches = (text, words) =>
  split(words).every((word) => new RegExp(beginning(word), "iu").test(text));

const split = (words) => (words ?? "").split(/\s+/).filter(Boolean);
const beginning = (word) => `(?<![\\p{L}\\p{N}])${word.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")}`;

const ONLY_EMOJI = /^(?:\p{Extended_Pictographic}(?:️|\u200d|\p{Emoji_Modifier}|\p{Extended_Pictographic})*\s*){1,3}$/u;

export const isOnlyEmoji = (text) => text.length < 32 && ONLY_EMOJI.test(text);
