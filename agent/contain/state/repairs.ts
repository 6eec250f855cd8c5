/** Milliseconds without a repair after which a repeatedly repaired isolation counts as enforced again. */
const QUIET_MS = 120_000;
/**
 * Maximum number of repairs within {@link QUIET_MS} for which a proof still succeeds. A reload of a firewall
 * service causes one repair.
 */
const REPAIRS_MAX = 1;

/** Repairs that follow each other within {@link QUIET_MS}. */
export type Repairs = {
  count: number;
  /** The modification that the last repair undid, formatted as in {@link Proof.repaired}. */
  what: string;
};

export type RepairHistory = {
  /** Records the result of one check. Returns the repairs that still count after this check. */
  note: (repaired: string | undefined) => Repairs | undefined;
  /** Forgets all repairs, because a new order is in force. */
  clear: () => void;
};

/**
 * Counts repairs, so that a proof covers the whole interval since the last proof and not only the moment of
 * the check.
 *
 * @param saved repairs of an earlier run. Their quiet period starts again, because the agent did not check in
 *   between.
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

/**
 * The reason in a report after one repair. The reason contains the time, so that the next repair leads to a
 * different reason and is reported.
 */
export const describeOne = (what: string, at: string): string =>
  `${what} at ${at}; the agent restored the isolation`;

/**
 * The reason in a report after several repairs. The count is rounded down to a power of two, so that not
 * every repair causes a new report. Otherwise, an attacker could flood the control plane.
 */
export function describeRepeated({ count, what }: Repairs): string {
  const atLeast = 2 ** Math.floor(Math.log2(count));
  return `${what}; the agent restored the isolation at least ${atLeast} times; the isolation counts as failed until ${QUIET_MS / 60_000} minutes pass without a modification`;
}
