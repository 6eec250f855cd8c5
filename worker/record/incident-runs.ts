import type { Finding } from "../../shared/table/items/asset/telemetry.ts";
import type { IncidentItem } from "../../shared/table/items/incident.ts";

/** One state of an asset in its history: when it began and what was found in it. */
export type JudgedState = { at: string; hostname: string; findings: readonly Finding[] };

/** A condition from when it was first seen until it was gone for the quiet period. */
export type Run = {
  finding: Finding;
  hostname: string;
  openedAt: string;
  /** Start of the newest state that showed it. */
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
 * Conditions of one asset that may be going on at once: a host that shows other engines with every heartbeat floods
 * neither the list of incidents nor its own presence, which is one item. What is CRITICAL has room of its own.
 */
export const RUNS_MAX = { WARNING: 200, CRITICAL: 400 } as const;

const elapsedMs = (from: string, to: string): number => Date.parse(to) - Date.parse(from);

/**
 * Takes one more state, newer than all before, into the runs. A condition that comes back within the quiet period
 * goes on as the same run; later, it is a new one, whether or not a heartbeat was there to end the old one. So the
 * runs are a function of the states and nothing else: not of who delivered them when. A condition for which there is
 * no room begins no run: it stands in the state all the same.
 */
export function takeState(runs: Runs, state: JudgedState, quietMs: number): void {
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

/** When the run ended, as seen by an asset heard of until `seenAt`; undefined while it lasts. */
export function endOf(run: Run, seenAt: string, quietMs: number): string | undefined {
  if (run.absentSince === undefined || elapsedMs(run.absentSince, seenAt) < quietMs) return undefined;
  return new Date(Date.parse(run.absentSince) + quietMs).toISOString();
}

/** A run as the table has it. */
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
