// Trades an API key for a session cookie that no script can read.
import { html, render, signal } from "../vendor/preact.js";
import { post } from "./api.js";

const problem = signal(null);
const busy = signal(false);

// Only ever back to a page of ours.
function next() {
  const wished = new URL(new URLSearchParams(location.search).get("next") ?? "/inbox", location.href);
  return wished.origin === location.origin ? wished.href : "/inbox";
}

async function signIn(event) {
  event.preventDefault();
  busy.value = true;
  try {
    await post("/api/session", { key: new FormData(event.target).get("key").trim() });
    location.replace(next());
  } catch (caught) {
    problem.value = caught.message;
    busy.value = false;
  }
}

function SignIn() {
  return html`<main class="sign-in">
    <form onSubmit=${signIn}>
      <h1><img src=${icon} alt="" width="36" height="36" /> Pagewire</h1>
      <label for="key">API key</label>
      <input
        id="key" name="key" type="password" required autofocus autocomplete="current-password"
        spellcheck=${false} aria-describedby="hint" aria-invalid=${problem.value ? "true" : undefined}
      />
      <p class="problem" role="alert">${problem.value}</p>
      <button class="button primary" disabled=${busy.value}>Sign in</button>
      <p id="hint" class="faint">No key yet? Make one where Pagewire runs:</p>
      <code class="command">pagewire key create --scope sync</code>
    </form>
  </main>`;
}

const icon = document.querySelector("link[rel=icon]").href;
render(html`<${SignIn} />`, document.getElementById("app"));
