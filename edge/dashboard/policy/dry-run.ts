import { hasAi } from "../../../shared/fleet/count.ts";
import type { FleetRow } from "../../../shared/fleet/read-fleet.ts";
import { NOT_STORED, replayStoredState } from "../../../shared/policy/evaluate/replay-stored-state.ts";
import { RULES_BY_ID } from "../../../shared/policy/rules/rules.ts";
import type { Finding, TelemetryChange } from "../../../shared/table/items/asset/telemetry.ts";
import type { Policy } from "../../../shared/table/items/policy.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { listTimeline } from "../../control/assets/asset-timeline.ts";
import type { DashboardDeps } from "../deps.ts";

/**
 * Maximum number of hosts in one dry run. Hosts with AI are selected first. The limit exists because each
 * host needs a query while the page waits.
 */
const DRY_RUN_HOSTS_MAX = 400;
/** Maximum number of states, newest first, that are evaluated for each host. */
const STATES_PER_HOST_MAX = 25;
const AT_ONCE = 16;
const EXAMPLES_MAX = 3;
export const DRY_RUN_DAYS = [1, 7, 30] as const;

type Example = { assetId: string; hostname: string; at: string; explanation: string };

/**
 * Findings of one rule. `would`: findings under the policy of the dry run. `did`: recorded findings, under
 * the policies in force at that time.
 */
export type Tried = {
  rule: string;
  title: string;
  risk: Finding["risk"];
  would: { hosts: number; states: number };
  did: { hosts: number; states: number };
  examples: Example[];
};

export type DryRun = {
  since: string;
  hosts: number;
  /** Number of hosts that have ever reported. */
  hostsInAll: number;
  states: number;
  rules: Tried[];
  /** Rules that cannot be evaluated, because recorded states lack the data. */
  notJudged: readonly string[];
};

/** Evaluates recorded states of the fleet with the rules of another policy. Writes nothing to the table. */
export async function dryRun(
  deps: DashboardDeps,
  tenantId: string,
  rows: readonly FleetRow[],
  { policy, days }: { policy: Policy; days: number },
): Promise<DryRun> {
  const since = timestamp(deps.clock() - days * 24 * 3600_000);
  const known = rows.filter(({ presence }) => presence !== undefined);
  const hosts = [...known].sort((a, b) => Number(hasAi(b)) - Number(hasAi(a))).slice(0, DRY_RUN_HOSTS_MAX);
  const states: TelemetryChange[] = [];
  for (let i = 0; i < hosts.length; i += AT_ONCE) {
    const some = hosts.slice(i, i + AT_ONCE);
    const read = await Promise.all(some.map(({ assetId }) => statesSince(deps, tenantId, assetId, since)));
    states.push(...read.flat());
  }
  return {
    since,
    hosts: hosts.length,
    hostsInAll: known.length,
    states: states.length,
    rules: compare(states, policy),
    notJudged: NOT_STORED,
  };
}

/** Reads the states of the period, and the state in force when the period began. */
async function statesSince(deps: DashboardDeps, tenantId: string, assetId: string, since: string) {
  const { items } = await listTimeline(deps, tenantId, assetId, { limit: STATES_PER_HOST_MAX });
  const older = items.findIndex(({ at }) => at < since);
  return older === -1 ? items : items.slice(0, older + 1);
}

type Count = { hosts: Set<string>; states: number };
type Compared = { risk: Finding["risk"]; would: Count; did: Count; examples: Map<string, Example> };

/**
 * Compares the findings of a policy with the recorded findings, by rule. The result starts with the rules
 * that affect the most hosts.
 */
export function compare(states: readonly TelemetryChange[], policy: Policy): Tried[] {
  const rules = new Map<string, Compared>();
  const of = ({ rule, risk }: Finding): Compared => {
    const empty = () => ({ hosts: new Set<string>(), states: 0 });
    const one = rules.get(rule) ?? { risk, would: empty(), did: empty(), examples: new Map() };
    rules.set(rule, one);
    return one;
  };
  for (const state of states) {
    const { assetId, hostname, at } = state;
    // A rule counts once for each state, even if it finds several engines.
    const once = (findings: readonly Finding[]) =>
      new Map(findings.map((each) => [each.rule, each])).values();
    for (const finding of once(replayStoredState(state, policy))) {
      const compared = of(finding);
      compared.would.hosts.add(assetId);
      compared.would.states++;
      if (compared.examples.size < EXAMPLES_MAX && !compared.examples.has(assetId))
        compared.examples.set(assetId, { assetId, hostname, at, explanation: finding.explanation });
    }
    const ruled = state.findings.filter(({ source = "rule" }) => source === "rule");
    for (const finding of once(ruled)) {
      const { did } = of(finding);
      did.hosts.add(assetId);
      did.states++;
    }
  }
  const plain = ({ hosts, states }: Count) => ({ hosts: hosts.size, states });
  return [...rules]
    .map(([rule, { risk, would, did, examples }]) => ({
      rule,
      title: RULES_BY_ID.get(rule)?.title ?? rule,
      risk,
      would: plain(would),
      did: plain(did),
      examples: [...examples.values()],
    }))
    .sort((a, b) => b.would.hosts - a.would.hosts || b.did.hosts - a.did.hosts || (a.rule < b.rule ? -1 : 1));
}
