// A thread that a search led to opens at the newest message that was found, however far back.
import { useEffect, useRef } from "../../vendor/preact.js";
import { place } from "../place.js";
import { opened } from "./conversations.js";
import { loadOlder } from "./messages.js";
import { matches } from "./text.js";

const MOST = 1000; // messages looked through by itself

export function useFound(scroller, messages, cursor) {
  const wanted = useRef(place.value.q);
  useEffect(() => {
    if (!wanted.current || !messages) return;
    if (matches(opened.value?.participantName ?? "", wanted.current)) wanted.current = null;
    if (!wanted.current) return;
    const found = messages.findLast(({ text }) => text && matches(text, wanted.current));
    if (!found && cursor && messages.length < MOST) {
      loadOlder();
      return;
    }
    wanted.current = null;
    if (found) scroller.current.querySelector(`[id="${CSS.escape(found.mid)}"]`).scrollIntoView({ block: "center" });
  }, [messages]);
}
