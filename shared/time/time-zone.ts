import { MINUTE_MS } from "./durations.ts";

/** For fifty years, time zone offsets have only changed at multiples of a quarter of an hour. */
const QUARTER_MS = 15 * MINUTE_MS;
const KNOWN_OFFSETS_MAX = 4096;
const offsets = new Map<string, number>();

/** Whether this runtime knows a zone with this name in the IANA database. */
export const isTimeZone = (timeZone: string): boolean => formatOf(timeZone) !== undefined;

/**
 * Offset of a time zone from UTC at a given time, in milliseconds. It is positive east of UTC, and 0 for an
 * unknown zone.
 */
export function zoneOffsetMs(ms: number, timeZone: string): number {
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

function readOffset(ms: number, timeZone: string): number {
  const parts = formatOf(timeZone)?.formatToParts(ms) ?? [];
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
