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

/** Hours that end on the next day belong to the day on which they begin. */
export function isWorkingTime(at: string, hours: WorkingHours): boolean {
  const { day, inDayMs } = local(at, hours);
  const [from, to] = [msOf(hours.from), msOf(hours.to)];
  const worksOn = (one: number) => hours.days.includes(weekday(one));
  if (from < to) return worksOn(day) && inDayMs >= from && inDayMs < to;
  return inDayMs >= from ? worksOn(day) : inDayMs < to && worksOn(day - 1);
}

/**
 * The last moment, up to `at`, at which working hours began or ended on their clock. A state that lasts over it is
 * judged anew there: what was fine at five may not be at seven.
 */
export function hoursBoundary(at: string, hours: WorkingHours): string {
  const { day, inDayMs } = local(at, hours);
  const last = [msOf(hours.from), msOf(hours.to)].map((ms) => (ms > inDayMs ? day - 1 : day) * DAY_MS + ms);
  return new Date(Math.max(...last) - hours.utcOffsetMinutes * MINUTE_MS).toISOString();
}
