import type { Policy } from "../table/items/policy.ts";

export type WorkingHours = NonNullable<Policy["workingHours"]>;

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** Milliseconds of a local day, and its number since 1970. */
function local(at: string, { utcOffsetMinutes }: WorkingHours): { day: number; inDayMs: number } {
  const ms = Date.parse(at) + utcOffsetMinutes * MINUTE_MS;
  const day = Math.floor(ms / DAY_MS);
  return { day, inDayMs: ms - day * DAY_MS };
}

const msOf = (clockTime: string): number =>
  (Number(clockTime.slice(0, 2)) * 60 + Number(clockTime.slice(3, 5))) * MINUTE_MS;

/** 1970-01-01 was a Thursday, ISO weekday 4. */
const weekday = (day: number): number => ((day + 3) % 7) + 1;

export function isWorkingTime(at: string, hours: WorkingHours): boolean {
  const { day, inDayMs } = local(at, hours);
  return hours.days.includes(weekday(day)) && inDayMs >= msOf(hours.from) && inDayMs < msOf(hours.to);
}

/**
 * The last moment, up to `at`, at which working hours began or ended on their clock. A state that lasts over it is
 * judged anew there: what was fine at five may not be at seven.
 */
export function hoursBoundary(at: string, hours: WorkingHours): string {
  const { day, inDayMs } = local(at, hours);
  const [from, to] = [msOf(hours.from), msOf(hours.to)];
  const localMs =
    inDayMs >= to ? day * DAY_MS + to : inDayMs >= from ? day * DAY_MS + from : (day - 1) * DAY_MS + to;
  return new Date(localMs - hours.utcOffsetMinutes * MINUTE_MS).toISOString();
}
