import { type Clock, isRecent } from "../../shared/time/clock.ts";

/** Whether what the edge depends on answers, as it was at most {@link KEPT_MS} ago. */
export type Readiness = { queue?: Reached; table: Reached };
export type Reached = "here" | "away";

/** Anybody may ask: however often they do, queue and table are asked once in this time. */
const KEPT_MS = 2000;
/** Slower than this is away: a balancer does not wait for longer either. */
const PROBE_MS_MAX = 1500;

export type ReadinessDeps = {
  /** Absent on a node that can do without the queue: it is not asked, and not part of the verdict. */
  reachQueue?: () => Promise<unknown>;
  reachTable: () => Promise<unknown>;
  clock: Clock;
  after: (ms: number, then: () => void) => () => void;
  /** False on workerd: whoever asks while another one's probe runs hears the verdict before it, or `away`. */
  shared: boolean;
};

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
