import forms from "./client/forms.client.js" with { type: "text" };
import freshness from "./client/freshness.client.js" with { type: "text" };
import keyboard from "./client/keyboard.client.js" with { type: "text" };
import live from "./client/live.client.js" with { type: "text" };
import mergeDom from "./client/merge-dom.client.js" with { type: "text" };
import pointer from "./client/pointer.client.js" with { type: "text" };
import polling from "./client/polling.client.js" with { type: "text" };
import sessionRenewal from "./client/session-renewal.client.js" with { type: "text" };
import timestamps from "./client/timestamps.client.js" with { type: "text" };
import unsavedInput from "./client/unsaved-input.client.js" with { type: "text" };

/**
 * Modules of the browser script, with file name and source. The server only serves these modules and never
 * runs them.
 */
export const MODULES: readonly { name: string; text: string }[] = [
  { name: "forms.client.js", text: forms },
  { name: "freshness.client.js", text: freshness },
  { name: "keyboard.client.js", text: keyboard },
  { name: "live.client.js", text: live },
  { name: "merge-dom.client.js", text: mergeDom },
  { name: "pointer.client.js", text: pointer },
  { name: "polling.client.js", text: polling },
  { name: "session-renewal.client.js", text: sessionRenewal },
  { name: "timestamps.client.js", text: timestamps },
  { name: "unsaved-input.client.js", text: unsavedInput },
];
