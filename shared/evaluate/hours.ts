import type { Policy } from "../table/items/policy.ts";

export type WorkingHours = NonNullable<Policy["workingHours"]>;

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

const msOf = (clockTime: string): number =>
  (Number(clockTime.slice(0, 2)) * 60 + Number(clockTime.slice(3, 5))) * MINUTE_MS;

/** 1970-01-01 was a Thursday, ISO weekday 4. */
const weekday = (day: number): number => ((day + 3) % 7) + 1;

/** Number since 1970 of the local day that a moment lies in. */
const dayOf = (ms: number, hours: WorkingHours): number => Math.floor((ms + offsetMs(ms, hours)) / DAY_MS);

/**
 * The one moment at which the clock of a local day shows a time. A time that is left out when clocks go forward, or
 * shown twice when they go back, is taken by the offset of about that time, the same for everybody.
 */
function momentOf(day: number, inDayMs: number, hours: WorkingHours): number {
  const localMs = day * DAY_MS + inDayMs;
  return localMs - offsetMs(localMs - offsetMs(localMs, hours), hours);
}

/** Hours that end on the next day belong to the day on which they begin. */
export function isWorkingTime(at: string, hours: WorkingHours): boolean {
  const ms = Date.parse(at);
  const today = dayOf(ms, hours);
  const [from, to] = [msOf(hours.from), msOf(hours.to)];
  return [today - 1, today].some(
    (day) =>
      hours.days.includes(weekday(day)) &&
      momentOf(day, from, hours) <= ms &&
      ms < momentOf(from < to ? day : day + 1, to, hours),
  );
}

/**
 * The last moment, up to `at`, at which working hours began or ended on their clock. A state that lasts over it is
 * judged anew there: what was fine at five may not be at seven.
 */
export function hoursBoundary(at: string, hours: WorkingHours): string {
  const ms = Date.parse(at);
  const today = dayOf(ms, hours);
  const moments = [today - 2, today - 1, today].flatMap((day) =>
    [hours.from, hours.to].map((clockTime) => momentOf(day, msOf(clockTime), hours)),
  );
  return new Date(Math.max(...moments.filter((moment) => moment <= ms))).toISOString();
}

/** What their clock goes by, in words. */
export function clockOf({ timeZone, utcOffsetMinutes }: WorkingHours): string {
  if (timeZone !== undefined) return timeZone;
  if (utcOffsetMinutes === 0) return "UTC";
  const minutes = Math.abs(utcOffsetMinutes);
  const [hour, rest] = [Math.floor(minutes / 60), minutes % 60].map((part) => String(part).padStart(2, "0"));
  return `UTC${utcOffsetMinutes < 0 ? "-" : "+"}${hour}:${rest}`;
}

function offsetMs(ms: number, { timeZone, utcOffsetMinutes }: WorkingHours): number {
  return timeZone === undefined ? utcOffsetMinutes * MINUTE_MS : offsetOfZone(ms, timeZone);
}

/** No zone has changed its offset but at a quarter of an hour for fifty years. */
const QUARTER_MS = 15 * MINUTE_MS;
const KNOWN_OFFSETS_MAX = 4096;
const offsets = new Map<string, number>();
const formats = new Map<string, Intl.DateTimeFormat | undefined>();

function offsetOfZone(ms: number, timeZone: string): number {
  const quarterMs = Math.floor(ms / QUARTER_MS) * QUARTER_MS;
  const key = `${timeZone} ${quarterMs}`;
  let offset = offsets.get(key);
  if (offset === undefined) {
    if (offsets.size >= KNOWN_OFFSETS_MAX) offsets.clear();
    offset = readOffset(quarterMs, timeZone);
    offsets.set(key, offset);
  }
  return offset;
}

/** 0 for a zone that this runtime does not know, as one may be that is newer. */
function readOffset(ms: number, timeZone: string): number {
  if (!formats.has(timeZone)) formats.set(timeZone, formatOf(timeZone));
  const parts = formats.get(timeZone)?.formatToParts(ms) ?? [];
  const name = parts.find(({ type }) => type === "timeZoneName")?.value ?? "";
  const [, sign, hour, minute] = /^GMT([+-])(\d\d):(\d\d)/.exec(name) ?? [];
  if (sign === undefined) return 0;
  return (sign === "-" ? -1 : 1) * (Number(hour) * 60 + Number(minute)) * MINUTE_MS;
}

function formatOf(timeZone: string): Intl.DateTimeFormat | undefined {
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone, timeZoneName: "longOffset" });
  } catch {
    return undefined;
  }
}
