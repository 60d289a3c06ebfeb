// Everything the pages draw with, in one module: no import map, so no inline script.
import htm from "htm";
import { h } from "preact";

export { Fragment, render } from "preact";
export { useEffect, useLayoutEffect, useRef } from "preact/hooks";
export { batch, computed, effect, signal, untracked, useComputed, useSignal } from "@preact/signals";
export const html = htm.bind(h);
