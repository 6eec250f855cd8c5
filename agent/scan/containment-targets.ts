import { timestamp } from "../../shared/time/clock.ts";
import type { Engine } from "../../shared/wire/heartbeat.ts";
import type { CompletedEngine } from "./complete-engines.ts";
import { type Candidate, isCertain, isReader, UNREADABLE_PID } from "./identify/candidate.ts";

/**
 * Engines that containment may stop. `certain`: no other local user can forge their attribution to the process. `unsure`:
 * they are known only by responses at the address of a container.
 */
export type Targets = { certain: readonly Engine[]; unsure: readonly Engine[] };

/** Targets of all candidates. `completed` has the same order as `candidates`. */
export function targetsOf(candidates: readonly Candidate[], completed: readonly CompletedEngine[]): Targets {
  const certain: Engine[] = [];
  const unsure: Engine[] = [];
  for (const [at, candidate] of candidates.entries()) {
    if (isReader(candidate)) continue;
    const isSure = candidate.root.pid === UNREADABLE_PID || isCertain(candidate);
    (isSure ? certain : unsure).push(...targetsIn(candidate, completed[at]!.engine));
  }
  return { certain, unsure };
}

/** One target per process that started on its own. Containment finds their child processes itself. */
const targetsIn = ({ siblings = [] }: Candidate, engine: Engine): Engine[] => [
  engine,
  ...siblings.map(({ pid, startedAtMs, executable }): Engine => {
    const { processStartedAt: _, executable: __, ...same } = engine;
    return {
      ...same,
      pid,
      ...(startedAtMs !== undefined && { processStartedAt: timestamp(startedAtMs) }),
      ...(executable !== undefined && { executable }),
    };
  }),
];
