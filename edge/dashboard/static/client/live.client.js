// @ts-check
// Entry point of the dashboard's script. Every page works without the script. With the script, open pages
// update themselves. The script is served as native modules without a build step.

import { enableForms, watchForms } from "./forms.client.js";
import { showFreshness } from "./freshness.client.js";
import { watchKeyboard } from "./keyboard.client.js";
import { watchPointer } from "./pointer.client.js";
import { pausePolling, pollNow, schedulePoll } from "./polling.client.js";
import { renewSession } from "./session-renewal.client.js";
import { updateTimestamps } from "./timestamps.client.js";

function tick() {
  updateTimestamps();
  showFreshness();
}

/** Removes ?done=… from the address, so that a reload does not show the confirmation again. */
function forgetConfirmation() {
  const here = new URL(location.href);
  if (!here.searchParams.has("done")) return;
  here.searchParams.delete("done");
  history.replaceState(null, "", here.pathname + here.search);
}

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") return pausePolling();
  renewSession();
  pollNow();
});
globalThis.addEventListener("online", pollNow);
globalThis.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  enableForms();
  renewSession();
  pollNow();
});

watchPointer();
watchForms();
watchKeyboard();
forgetConfirmation();
tick();
setInterval(tick, 1000);
renewSession();
schedulePoll();
