import { backoffCeilingMs } from "../../shared/time/backoff.ts";

/**
 * Maximum number of consecutive optimistic-lock conflicts before a write fails. The pauses between them add
 * up to at least 10 s.
 */
export const CONFLICT_ROUNDS_MAX = 64;
/**
 * Number of rounds with short pauses. A keyed mutex orders the writes of one node, so a write only competes
 * with one write of each other node. If the pauses were longer, a busy node would win every round.
 */
const SOON_ROUNDS = 12;
const SOON_MS_FIRST = 10;
const SOON_MS_MAX = 60;
/**
 * Maximum pause in milliseconds in later rounds. By then many writes compete, for example on Workers, where
 * no mutex orders them.
 */
const LATER_MS_MAX = 400;

/**
 * Pause in milliseconds before round `round`. Round 1 is the first one after a conflict.
 *
 * @param jitter random number from 0 to 1, which separates writes that had the same conflict
 */
export function conflictPauseMs(round: number, jitter: number): number {
  const mostMs = round <= SOON_ROUNDS ? backoffCeilingMs(round, SOON_MS_FIRST, SOON_MS_MAX) : LATER_MS_MAX;
  return mostMs * (0.1 + 0.9 * jitter);
}
