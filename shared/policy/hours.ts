import type { Policy } from "../table/items/policy.ts";
import { zoneOffsetMs } from "../time/time-zone.ts";

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
  return timeZone === undefined ? utcOffsetMinutes * MINUTE_MS : zoneOffsetMs(ms, timeZone);
}
