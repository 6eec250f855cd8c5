import { DAY_MS } from "../../shared/time/durations.ts";
import { LIMITS } from "../../shared/wire/heartbeat.ts";

/**
 * Maximum age of a heartbeat. An older heartbeat comes from a host with a wrong clock. The limit is long
 * because a host that was switched off can send heartbeats from months ago.
 */
const LATE_MS_MAX = 400 * DAY_MS;

/**
 * Time of a heartbeat and start of its state, corrected for wrong clocks.
 *
 * A `sentAt` beyond the allowed clock skew, or older than {@link LATE_MS_MAX}, is replaced by the time of
 * receipt. The start of the state is then unknown. It is also unknown if `stateSince` is older than {@link
 * LATE_MS_MAX}. The start of the day replaces an unknown start, because every heartbeat of a state must
 * result in the same time.
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
