import { type Clock, isRecent } from "../../shared/time/clock.ts";

/**
 * Whether the queue and the table respond. The result is at most {@link KEPT_MS} old. `queue` is absent on
 * nodes that do not need the queue.
 */
export type Readiness = { queue?: Reached; table: Reached };
type Reached = "here" | "away";

/**
 * Time for which a result is cached. The probe is public, so the queue and the table are called at most once
 * in this time.
 */
const KEPT_MS = 2000;
/**
 * Timeout of a readiness check. A slower response counts as `away`, because load balancers do not wait longer
 * either.
 */
const PROBE_MS_MAX = 1500;

export type ReadinessDeps = {
  /** Absent on a node that does not need the queue. */
  reachQueue?: () => Promise<unknown>;
  reachTable: () => Promise<unknown>;
  clock: Clock;
  after: (ms: number, then: () => void) => () => void;
  /**
   * False on workerd. A request that arrives while another request checks the queue and the table gets the
   * previous result, or `away` before the first result.
   */
  shared: boolean;
};

/** Readiness of this node. Concurrent callers share one probe, and its result is cached. */
export function createReadiness(deps: ReadinessDeps): () => Promise<Readiness> {
  const { reachQueue } = deps;
  let verdict: Readiness = { ...(reachQueue && { queue: "away" }), table: "away" };
  let triedAtMs = Number.NEGATIVE_INFINITY;
  let probing: Promise<Readiness> | undefined;

  async function probe(): Promise<Readiness> {
    const [table, queue] = await Promise.all([
      isReached(deps.reachTable),
      reachQueue ? isReached(reachQueue) : undefined,
    ]);
    verdict = { ...(queue && { queue }), table };
    probing = undefined;
    return verdict;
  }

  async function isReached(reach: () => Promise<unknown>): Promise<Reached> {
    const late = Promise.withResolvers<Reached>();
    const cancel = deps.after(PROBE_MS_MAX, () => late.resolve("away"));
    const answer = reach().then(
      () => "here" as const,
      () => "away" as const,
    );
    return Promise.race([answer, late.promise]).finally(cancel);
  }

  return async () => {
    if (probing) return probing;
    if (isRecent(triedAtMs, deps.clock(), KEPT_MS)) return verdict;
    triedAtMs = deps.clock();
    if (!deps.shared) return probe();
    probing = probe();
    return probing;
  };
}
