// The HTTP API as values: an answer's JSON, or a Problem that says what went wrong.

class Problem extends Error {
  constructor(status, told) {
    super(told.detail || told.title || told.error || `The server answered ${status}.`);
    this.status = status;
  }
}

export const get = (path, signal) => request("GET", path, { signal });
export const post = (path, body) => request("POST", path, { body });
export const put = (path, body) => request("PUT", path, { body });
export const patch = (path, body) => request("PATCH", path, { body });
export const remove = (path) => request("DELETE", path);

async function request(method, path, { body, signal } = {}) {
  const response = await fetch(path, {
    method,
    signal,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  }).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "Pagewire cannot be reached. Is it running?" });
  });
  if (response.status === 401 && location.pathname !== "/sign-in") await signIn();
  const told = await response.json().catch(() => null);
  if (!response.ok) throw new Problem(response.status, told ?? {});
  return told;
}

// Leads to the sign-in and back to here; nothing after it runs.
export function signIn() {
  const here = location.pathname + location.search;
  location.replace(`/sign-in?next=${encodeURIComponent(here)}`);
  return new Promise(() => {});
}

// A path with its parameters; empty ones are left out.
export function withQuery(path, parameters) {
  const told = Object.entries(parameters).filter(([, value]) => value);
  return told.length ? `${path}?${new URLSearchParams(told)}` : path;
}
