// @ts-check
// The freshness indicator in the page header, which says how old the page is, and the hidden text that screen
// readers announce.
import { duration } from "./timestamps.client.js";

const box = document.getElementById("freshness");
const line = document.getElementById("freshness-text");
const status = document.getElementById("freshness-status");

/** Only live pages have a freshness indicator in their header. */
export const isLive = box !== null;

const connection = { readAtMs: Date.now(), failures: 0, endedBecause: "" };

/** True after {@link endUpdates}, when the page is no longer polled. */
export const isEnded = () => connection.endedBecause !== "";
/** Number of failed polls since the last successful one. */
export const failureCount = () => connection.failures;

export function noteSuccess() {
  connection.readAtMs = Date.now();
  connection.failures = 0;
}

export function noteFailure() {
  connection.failures++;
}

/** Announces a text to screen readers. @param {string} text */
export function announce(text) {
  if (status && status.textContent !== text) status.textContent = text;
}

export function showFreshness() {
  if (!box || !line) return;
  const { endedBecause, failures, readAtMs } = connection;
  const age = duration(Date.now() - readAtMs);
  const state = isEnded() ? "ended" : failures > 1 ? "lost" : "live";
  box.setAttribute("data-state", state);
  const text =
    state === "ended"
      ? endedBecause
      : state === "lost"
        ? `Connection lost. Showing data from ${age} ago; retrying`
        : `Live, updated ${age} ago`;
  if (line.textContent !== text) line.textContent = text;
  if (state !== "live") announce(state === "lost" ? "Connection lost" : endedBecause);
  else if (status?.textContent === "Connection lost") announce("Connected again");
}

/** Stops live updates, and shows the reason with a link. @param {string} reason @param {string} href @param {string} label */
export function endUpdates(reason, href, label) {
  connection.endedBecause = reason;
  const link = document.createElement("a");
  link.href = href;
  link.textContent = label;
  showFreshness();
  box?.querySelector("p")?.append(" ", link);
}
