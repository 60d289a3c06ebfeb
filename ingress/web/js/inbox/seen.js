// What a person looks at counts as seen: the open conversation, while its page is in front, up to
// the newest message that is shown.
import { effect, signal } from "../../vendor/preact.js";
import { put as send } from "../api.js";
import { may } from "../session.js";
import { opened, put } from "./conversations.js";
import { thread } from "./messages.js";

const looking = signal(!document.hidden);
document.addEventListener("visibilitychange", () => (looking.value = !document.hidden));

let told = null; // so that nothing is said twice

export const keepSeen = () =>
  effect(() => {
    const { id, messages } = thread.value ?? {};
    const newest = messages?.at(-1);
    if (!newest || !looking.value || !may("sync")) return;
    if (opened.value?.id === id && opened.value.unread && newest.mid !== told) see(id, newest);
  });

async function see(id, { mid, sentAt }) {
  told = mid;
  const seen = await send(`/api/conversations/${id}/seen`, { until: sentAt }).catch(() => null);
  if (seen) put(seen);
  else told = null; // the next change of the conversation tries again
}
