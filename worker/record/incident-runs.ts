import type { Finding } from "../../shared/table/items/asset/telemetry.ts";
import type { IncidentItem } from "../../shared/table/items/incident.ts";

/** An assessed state of an asset, with its start and its findings. */
export type AssessedState = { at: string; hostname: string; findings: readonly Finding[] };

/**
 * A continuous occurrence of a condition. It begins when the condition appears, and ends when the condition
 * has been absent for the quiet period.
 */
export type Run = {
  finding: Finding;
  hostname: string;
  openedAt: string;
  /** Start of the newest state that showed the condition. */
  lastSeenAt: string;
  escalatedAt?: string;
  absentSince?: string;
};

export type Runs = Map<string, Run>;

export const runName = ({ rule, engine }: { rule: string; engine: string }): string => `${rule} ${engine}`;

const RANK = { WARNING: 1, CRITICAL: 2 } as const;
export const isWorse = (
  now: Pick<Finding, "risk" | "points">,
  before: Pick<Finding, "risk" | "points">,
): boolean => RANK[now.risk] > RANK[before.risk] || now.points > before.points;

/**
 * Maximum number of open conditions per asset. A host that shows different engines in every heartbeat must
 * not flood the list of incidents or its presence item. CRITICAL conditions have extra capacity.
 */
export const RUNS_MAX = { WARNING: 200, CRITICAL: 400 } as const;

const elapsedMs = (from: string, to: string): number => Date.parse(to) - Date.parse(from);

/**
 * Applies one more state to the runs. The state must be newer than all previous states.
 *
 * A condition that returns within the quiet period continues its run. After the quiet period it starts a new
 * run. The runs therefore depend on the states alone, and not on the order of delivery. Beyond {@link
 * RUNS_MAX} a condition starts no run, but it is still part of the state.
 */
export function applyState(runs: Runs, state: AssessedState, quietMs: number): void {
  const { at, hostname } = state;
  const present = new Set<string>();
  const isOver = ({ absentSince }: Run) => absentSince !== undefined && elapsedMs(absentSince, at) >= quietMs;
  let lasting = 0;
  for (const run of runs.values()) if (!isOver(run)) lasting++;
  for (const finding of state.findings) {
    const name = runName(finding);
    const before = runs.get(name);
    const goesOn = before && !isOver(before);
    if (!goesOn && lasting >= RUNS_MAX[finding.risk]) continue;
    if (!goesOn) lasting++;
    present.add(name);
    const escalatedAt =
      goesOn && isWorse(finding, before.finding) ? at : goesOn ? before.escalatedAt : undefined;
    runs.set(name, {
      finding,
      hostname,
      openedAt: goesOn ? before.openedAt : at,
      lastSeenAt: at,
      ...(escalatedAt !== undefined && { escalatedAt }),
    });
  }
  for (const [name, run] of runs) {
    if (!present.has(name) && run.absentSince === undefined) runs.set(name, { ...run, absentSince: at });
  }
}

/** End of a run, for an asset that was last seen at `seenAt`. Undefined while the run lasts. */
export function endOf(run: Run, seenAt: string, quietMs: number): string | undefined {
  if (run.absentSince === undefined || elapsedMs(run.absentSince, seenAt) < quietMs) return undefined;
  return new Date(Date.parse(run.absentSince) + quietMs).toISOString();
}

/** Converts a stored incident to its run. */
export function runOf(item: IncidentItem, absentSince: string | undefined): Run {
  const { rule, engine, engineName, risk, points, explanation, source, hostname, openedAt, lastSeenAt } =
    item;
  return {
    finding: { rule, engine, engineName, risk, points, explanation, ...(source && { source }) },
    hostname,
    openedAt,
    lastSeenAt,
    ...(item.escalatedAt !== undefined && { escalatedAt: item.escalatedAt }),
    ...(absentSince !== undefined && { absentSince }),
  };
}
