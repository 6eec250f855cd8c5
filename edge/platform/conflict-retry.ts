/** Optimistic-lock conflicts before a write is given up: 10 s of pauses at least. */
export const CONFLICT_ROUNDS_MAX = 64;
/**
 * Writes of one node take turns, so the rivals of a write are as few as the nodes. For this many rounds it tries again
 * soon: during a longer pause a busy node would win every round.
 */
const SOON_ROUNDS = 12;
const SOON_MS_MAX = 60;
/** Then rivals are many, as on Workers, where writes take no turns. */
const LATER_MS_MAX = 400;

/**
 * Pause before round `round`, 1 being the first after a conflict.
 *
 * @param jitter 0 to 1, random: of several writes that had the same conflict few meet again
 */
export function conflictPauseMs(round: number, jitter: number): number {
  const mostMs = round <= SOON_ROUNDS ? Math.min(10 * 2 ** round, SOON_MS_MAX) : LATER_MS_MAX;
  return mostMs * (0.1 + 0.9 * jitter);
}
