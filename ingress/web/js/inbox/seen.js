// What a person looks at counts as seen: the open conversation, while its page is in front.
import { effect, signal } from "../../vendor/preact.js";
import { put as send } from "../api.js";
import { may } from "../session.js";
import { opened, put } from "./conversations.js";

const looking = signal(!document.hidden);
document.addEventListener("visibilitychange", () => (looking.value = !document.hidden));

export const keepSeen = () =>
  effect(() => {
    const conversation = opened.value;
    if (conversation?.unread && looking.value && may("sync")) see(conversation.id);
  });

async function see(id) {
  // If it fails, the next change of the conversation tries again.
  const seen = await send(`/api/conversations/${id}/seen`).catch(() => null);
  if (seen) put(seen);
}
