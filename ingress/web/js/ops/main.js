import { html, render } from "../../vendor/preact.js";
import { loadSession } from "../session.js";
import { attempt } from "../toasts.js";
import { Top } from "../top.js";
import { Alerts } from "./alerts.js";
import { Charts } from "./charts.js";
import { Cron } from "./cron.js";
import { Dead } from "./dead.js";
import { Feed, startFeed } from "./feed.js";
import { Jobs } from "./jobs.js";
import { Pages } from "./pages.js";
import { keepLoaded } from "./state.js";
import { Strip } from "./strip.js";
import { Processes } from "./processes.js";
import { Queues } from "./queues.js";

function Ops() {
  return html`
    <${Top} current="/ops" />
    <main class="ops">
      <h1 class="hidden">Ops</h1>
      <${Alerts} />
      <${Strip} />
      <${Charts} />
      <${Pages} />
      <div class="columns">
        <div class="stack"><${Feed} /><${Jobs} /><${Queues} /></div>
        <div class="stack"><${Dead} /><${Cron} /><${Processes} /></div>
      </div>
    </main>
  `;
}

render(html`<${Ops} />`, document.getElementById("app"));
keepLoaded();
startFeed();
attempt(loadSession);
