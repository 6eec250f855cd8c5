import type { Policy } from "../table/items/policy.ts";
import { DAY_MS, MINUTE_MS } from "../time/durations.ts";
import { zoneOffsetMs } from "../time/time-zone.ts";

export type WorkingHours = NonNullable<Policy["workingHours"]>;

const msOf = (clockTime: string): number =>
  (Number(clockTime.slice(0, 2)) * 60 + Number(clockTime.slice(3, 5))) * MINUTE_MS;

/** ISO weekday of a day number. Day 0 is 1970-01-01, a Thursday (ISO weekday 4). */
const weekday = (day: number): number => ((day + 3) % 7) + 1;

/** Number of the local day that contains a time. Day 0 is 1970-01-01. */
const dayOf = (ms: number, hours: WorkingHours): number => Math.floor((ms + offsetMs(ms, hours)) / DAY_MS);

/**
 * The time at which a local clock shows `inDayMs` on a day. Daylight saving can skip or repeat a local time.
 * In that case every node chooses the same time.
 */
function momentOf(day: number, inDayMs: number, hours: WorkingHours): number {
  const localMs = day * DAY_MS + inDayMs;
  return localMs - offsetMs(localMs - offsetMs(localMs, hours), hours);
}

/** Whether a time is within working hours. Hours that end on the next day belong to the day on which they begin. */
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
 * The most recent start or end of working hours up to `at`. A state that continues past this time is assessed
 * again, because the rule on working hours can have a different result.
 */
export function hoursBoundary(at: string, hours: WorkingHours): string {
  const ms = Date.parse(at);
  const today = dayOf(ms, hours);
  const moments = [today - 2, today - 1, today].flatMap((day) =>
    [hours.from, hours.to].map((clockTime) => momentOf(day, msOf(clockTime), hours)),
  );
  return new Date(Math.max(...moments.filter((moment) => moment <= ms))).toISOString();
}

/** Name of the clock by which working hours are measured: a time zone, or an offset from UTC. */
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
