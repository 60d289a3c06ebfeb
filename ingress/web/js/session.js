// Who is signed in, and what they may do.
import { signal } from "../vendor/preact.js";
import { get, remove, signIn } from "./api.js";

const SCOPES = ["read", "sync", "admin"];

// { scope, pages, name, expiresAt }, once it is known.
export const session = signal(null);

export async function loadSession() {
  session.value = await get("/api/session");
}

// Whether the key reaches as far as `scope`; unknown counts as no.
export function may(scope) {
  return SCOPES.indexOf(session.value?.scope) >= SCOPES.indexOf(scope);
}

export async function signOut() {
  await remove("/api/session");
  await signIn();
}
