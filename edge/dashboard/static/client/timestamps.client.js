// @ts-check
// Updates the text of every <time data-time> element once a second. The server renders the same words (time.tsx).

/**
 * Maximum time in ms by which a host's clock may be ahead of the server's clock (`CLOCK_SKEW_SECONDS_MAX` of
 * the wire format).
 */
const CLOCK_SKEW_MS_MAX = 300_000;
/**
 * Minimum difference in ms between a `Date` header and this computer's clock that counts as a clock error. A
 * smaller difference can be network delay.
 */
const CLOCK_ERROR_MS_MIN = 5000;

const localTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

/**
 * Time of the server's clock minus time of this computer's clock, in ms. It corrects the displayed ages if
 * this computer's clock is wrong.
 */
let serverClockOffsetMs = 0;

export const serverNowMs = () => Date.now() + serverClockOffsetMs;

/** @param {string | null} date `Date` header of a response */
export function readServerClock(date) {
  const offsetMs = Date.parse(date ?? "") - Date.now();
  if (Math.abs(offsetMs) > CLOCK_ERROR_MS_MIN) serverClockOffsetMs = offsetMs;
}

/** Formats a duration in one unit: `12 s`, `5 min`, `3 h`, `9 d`. @param {number} ms */
export function duration(ms) {
  const length = Math.abs(ms);
  if (length < 60_000) return `${Math.floor(length / 1000)} s`;
  if (length < 90 * 60_000) return `${Math.floor(length / 60_000)} min`;
  if (length < 48 * 3_600_000) return `${Math.floor(length / 3_600_000)} h`;
  return `${Math.floor(length / 86_400_000)} d`;
}

/** @param {number} atMs @param {number} nowMs */
function relative(atMs, nowMs) {
  const passed = nowMs - atMs;
  if (Math.abs(passed) < 1000) return "just now";
  return passed > 0 ? `${duration(passed)} ago` : `in ${duration(passed)}`;
}

/**
 * Formats the age of a past event. The result is never a future time such as "in 2 min", even if a host's
 * clock is slightly ahead.
 * @param {number} atMs @param {number} nowMs
 */
function ago(atMs, nowMs) {
  const isSkewed = atMs > nowMs && atMs - nowMs <= CLOCK_SKEW_MS_MAX;
  return relative(isSkewed ? nowMs : atMs, nowMs);
}

/** @param {string | null} kind value of `data-time` @param {number} atMs @param {number} nowMs */
function textOf(kind, atMs, nowMs) {
  if (kind === "age") return duration(Math.max(0, nowMs - atMs));
  if (kind === "exact") return localTime.format(atMs);
  return kind === "until" ? relative(atMs, nowMs) : ago(atMs, nowMs);
}

export function updateTimestamps() {
  const nowMs = serverNowMs();
  for (const time of document.querySelectorAll("time[data-time]")) {
    const atMs = Date.parse(time.getAttribute("datetime") ?? "");
    if (Number.isNaN(atMs)) continue;
    const text = textOf(time.getAttribute("data-time"), atMs, nowMs);
    if (time.textContent !== text) time.textContent = text;
    const title = localTime.format(atMs);
    if (time.getAttribute("title") !== title) time.setAttribute("title", title);
  }
}
