/** For this long nothing may be altered before an isolation that was repaired repeatedly counts as enforced again. */
export const QUIET_MS = 120_000;
/** Repairs within {@link QUIET_MS} of each other that a proof survives: a firewall service that reloads makes one. */
const REPAIRS_MAX = 1;

/** Repairs that follow each other within {@link QUIET_MS}. */
export type Repairs = {
  count: number;
  /** What was altered last, as {@link Proof.repaired} says it. */
  what: string;
};

export type RepairHistory = {
  /** Takes the result of one look. Returns the repairs that still count after it. */
  note: (repaired: string | undefined) => Repairs | undefined;
  /** Forgets everything: another order is in force. */
  clear: () => void;
};

/**
 * Counts repairs, so that a proof covers the whole interval since the last one and not only the moment of the look.
 *
 * @param saved repairs known before the agent started; their quiet time begins again, for nobody watched in between
 * @param elapsed milliseconds by a monotonic clock
 */
export function createRepairHistory(saved: Repairs | undefined, elapsed: () => number): RepairHistory {
  let last = saved && { repairs: saved, atMs: elapsed() };
  return {
    note: (repaired) => {
      const nowMs = elapsed();
      if (last && nowMs - last.atMs >= QUIET_MS) last = undefined;
      if (repaired !== undefined)
        last = { repairs: { count: (last?.repairs.count ?? 0) + 1, what: repaired }, atMs: nowMs };
      return last?.repairs;
    },
    clear: () => {
      last = undefined;
    },
  };
}

export const isRepeated = ({ count }: Repairs): boolean => count > REPAIRS_MAX;

/** What a report says of the only repair. Its time makes the next one another reason, so that it is reported too. */
export const describeOne = (what: string, at: string): string => `${what} at ${at}, and that was undone`;

/**
 * What a report says of several. The count is rounded down to a power of two: a report that changed with every repair
 * would let whoever tampers flood the control plane.
 */
export function describeRepeated({ count, what }: Repairs): string {
  const atLeast = 2 ** Math.floor(Math.log2(count));
  return `${what}, and that was undone at least ${atLeast} times; failed until ${QUIET_MS / 60_000} minutes pass without it`;
}
