// @ts-check
// Polls the address of the open page, and merges the changes into the regions marked with data-live.
import {
  announce,
  endUpdates,
  failureCount,
  isEnded,
  isLive,
  noteFailure,
  noteSuccess,
  showFreshness,
} from "./freshness.client.js";
import { merge } from "./merge-dom.client.js";
import { pointerReleased } from "./pointer.client.js";
import { readServerClock, updateTimestamps } from "./timestamps.client.js";
import { tryReload } from "./unsaved-input.client.js";

const POLL_MS = 2000;
const POLL_MS_MAX = 60_000;
const REQUEST_MS_MAX = 10_000;

/** @typedef {{ createHTML(text: string): string }} HtmlPolicy */
/** @type {HtmlPolicy | undefined} */
// The only Trusted Types policy. Its input is always a response of this server, which has already escaped the
// text.
const htmlPolicy = /** @type {any} */ (globalThis).trustedTypes?.createPolicy("lz-live", {
  createHTML: (/** @type {string} */ text) => text,
});

/** @type {string | null} */
let etag = null;
let isFiltering = false;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
/** @type {AbortController | undefined} */
let current;

const pollAddress = () => document.body.dataset.poll ?? location.pathname + location.search;

/** @param {string} markup */
const parsePage = (markup) =>
  new DOMParser().parseFromString(
    /** @type {any} */ (htmlPolicy ? htmlPolicy.createHTML(markup) : markup),
    "text/html",
  );

/** The signed-in user with organisation and role, as text. @param {Document} page */
const signedInAs = (page) => page.querySelector(".person p")?.textContent;

/**
 * The text that screen readers announce when it changes. It is the overall status or the containment state.
 * @param {Document} page
 */
const headlineOf = (page) =>
  page.querySelector("#verdict-title, [data-state] .badge")?.textContent?.trim() ?? "";

let headline = headlineOf(document);

/** @param {Document} next */
function show(next) {
  for (const region of document.querySelectorAll("[data-live]")) {
    const updated = next.getElementById(region.id);
    if (updated) merge(region, updated);
  }
  if (next.title !== "") document.title = next.title;
  const changed = headlineOf(next);
  if (changed !== headline && changed !== "") announce(changed);
  headline = changed;
  updateTimestamps();
  showFreshness();
}

/** Marks lists as busy until their rows match the filter. @param {boolean} busy */
function markFiltering(busy) {
  isFiltering = busy;
  for (const region of document.querySelectorAll("section[data-live]")) {
    if (busy) region.setAttribute("aria-busy", "true");
    else region.removeAttribute("aria-busy");
  }
}

/** Announces how many rows the filtered list has. */
function announceFiltered() {
  markFiltering(false);
  const counts = document.querySelectorAll("section[data-live] .count, section[data-live] .empty-title");
  announce([...counts].map((count) => count.textContent?.trim()).join(", "));
}

/** Polls the address of a changed filter. */
export function pollFiltered() {
  etag = null;
  markFiltering(true);
  void poll();
}

/** @param {number} status */
function endWith(status) {
  markFiltering(false);
  if (status !== 401) return endUpdates("This page no longer exists.", "/", "Go to the overview");
  const signIn = `/sign-in?return=${encodeURIComponent(pollAddress())}`;
  endUpdates("Your session has ended.", signIn, "Sign in again");
}

/**
 * Ends updates after the user signed in as a different user or organisation in another tab. New data must
 * never appear under the old name.
 */
function endForOtherUser() {
  if (tryReload()) return;
  markFiltering(false);
  endUpdates("You are now signed in as someone else. This page is out of date.", location.href, "Reload");
}

/** @param {AbortSignal} signal */
const requestPage = (signal) =>
  fetch(pollAddress(), {
    headers: { accept: "text/html", "x-lz-live": "1", ...(etag !== null && { "if-none-match": etag }) },
    credentials: "same-origin",
    cache: "no-store",
    redirect: "error",
    signal,
  });

/** Applies a response. Returns true when polling stops. @param {Response} response @param {() => boolean} isCurrent */
async function apply(response, isCurrent) {
  // The token has expired but the session may be valid: a reload gets a new token from the identity provider.
  if (response.status === 401 && response.headers.has("x-lz-expired") && tryReload()) return true;
  if ([401, 403, 404].includes(response.status)) {
    endWith(response.status);
    return true;
  }
  if (response.status !== 304) {
    if (!response.ok) throw new Error(`status ${response.status}`);
    const markup = await response.text();
    if (!isCurrent()) return true;
    readServerClock(response.headers.get("date"));
    const next = parsePage(markup);
    if (signedInAs(next) !== signedInAs(document)) {
      endForOtherUser();
      return true;
    }
    await pointerReleased();
    if (!isCurrent()) return true;
    etag = response.headers.get("etag");
    show(next);
  }
  if (isFiltering) announceFiltered();
  noteSuccess();
  return false;
}

/** A newer poll aborts the one in flight. */
async function poll() {
  clearTimeout(timer);
  current?.abort();
  const own = new AbortController();
  current = own;
  const isCurrent = () => current === own;
  const timeout = setTimeout(() => own.abort(), REQUEST_MS_MAX);
  try {
    const response = await requestPage(own.signal);
    if (!isCurrent() || (await apply(response, isCurrent))) return;
  } catch {
    if (!isCurrent()) return;
    noteFailure();
    // A page without live updates polls only once after each filter change and does not retry. It is
    // therefore no longer busy, even after a failure.
    if (!isLive) markFiltering(false);
  } finally {
    clearTimeout(timeout);
  }
  showFreshness();
  schedulePoll();
}

/** Schedules the next poll after 2 s. The delay doubles after each failure, up to 60 s, and has 10% jitter. */
export function schedulePoll() {
  clearTimeout(timer);
  if (!isLive || isEnded() || document.visibilityState === "hidden") return;
  const wait = Math.min(POLL_MS * 2 ** failureCount(), POLL_MS_MAX);
  timer = setTimeout(poll, wait * (0.9 + Math.random() * 0.2));
}

export function pollNow() {
  if (isLive && !isEnded()) void poll();
}

export function pausePolling() {
  clearTimeout(timer);
}
