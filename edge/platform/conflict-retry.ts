/** Optimistic-lock conflicts in a row before a write fails. The pauses between them add up to at least 10 s. */
export const CONFLICT_ROUNDS_MAX = 64;
/**
 * Rounds with short pauses. A keyed mutex orders the writes of one node, so a write competes with one write per other
 * node. During a longer pause a busy node would win every round.
 */
const SOON_ROUNDS = 12;
const SOON_MS_MAX = 60;
/** Longest pause in later rounds. By then there are many competitors, as on Workers, where no mutex orders writes. */
const LATER_MS_MAX = 400;

/**
 * Pause in milliseconds before round `round`. Round 1 is the first after a conflict.
 *
 * @param jitter random, 0 to 1: separates writes that had the same conflict
 */
export function conflictPauseMs(round: number, jitter: number): number {
  const mostMs = round <= SOON_ROUNDS ? Math.min(10 * 2 ** round, SOON_MS_MAX) : LATER_MS_MAX;
  return mostMs * (0.1 + 0.9 * jitter);
}
