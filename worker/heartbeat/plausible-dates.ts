import { LIMITS } from "../../shared/wire/heartbeat.ts";

const DAY_MS = 24 * 3600 * 1000;
/**
 * A heartbeat older than this was not kept that long: it comes from a host whose clock is wrong. A host that was switched
 * off may bring what it kept months ago, so the bound is far.
 */
export const LATE_MS_MAX = 400 * DAY_MS;

/**
 * When a heartbeat was made and since when its state holds. A time beyond the allowed skew ahead, or impossibly long ago,
 * is replaced by the time of receipt. The beginning of its state is then not known, nor is one that is impossibly long
 * ago: the start of the day stands for it, because every heartbeat of a state has to give the same.
 */
export function datesOf(
  { sentAt, stateSince }: { sentAt: string; stateSince: string },
  receivedAt: string,
): { at: string; stateSince: string } {
  const receivedMs = Date.parse(receivedAt);
  const aheadMs = Date.parse(sentAt) - receivedMs;
  const isRight = aheadMs <= LIMITS.CLOCK_SKEW_SECONDS_MAX * 1000 && aheadMs >= -LATE_MS_MAX;
  if (!isRight) return { at: receivedAt, stateSince: startOfDay(receivedAt) };
  if (Date.parse(stateSince) >= receivedMs - LATE_MS_MAX) return { at: sentAt, stateSince };
  return { at: sentAt, stateSince: startOfDay(sentAt) };
}

const startOfDay = (at: string): string => `${at.slice(0, 10)}T00:00:00.000Z`;
