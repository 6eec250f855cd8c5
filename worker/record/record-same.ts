import { touchRun } from "../../shared/fleet/identity-use.ts";
import type { PresenceItem } from "../../shared/table/items/asset/presence.ts";
import type { IncidentItem } from "../../shared/table/items/incident.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import { assess, learnLate } from "../assess/assess-heartbeat.ts";
import { isTimely } from "../assess/baseline.ts";
import type { Delivery } from "../heartbeat/parse-heartbeat.ts";
import { policyKeyOf } from "../heartbeat/state-hash.ts";
import { additions, intervalStart, phaseOf } from "../heartbeat/timeline-position.ts";
import { recordProof } from "./containment-proof.ts";
import type { RecordDeps } from "./deps.ts";
import { type Seen, sceneFor, usedBy } from "./identity-in-use.ts";
import { openRuns, readIncidents, readNamedIncidents, runsFrom } from "./incident-history.ts";
import { inventoryOf } from "./inventory-item.ts";
import { presenceOf } from "./presence-item.ts";
import { putChange, putSample } from "./put-telemetry.ts";
import { savePresence } from "./save-presence.ts";

/**
 * Records one more heartbeat of the current state: a sample and presence once per resolution interval,
 * otherwise nothing. Returns false after an optimistic-lock conflict.
 */
export async function recordSame(
  delivery: Delivery,
  seen: Seen,
  presence: PresenceItem,
  tenant: TenantItem,
  deps: RecordDeps,
): Promise<boolean> {
  const { stateHash } = seen;
  const policyKey = policyKeyOf(tenant);
  if (stateHash === presence.stateHash) deps.presences.keep(presence, delivery.raw, policyKey);
  const { head, sample, isFirstOfState } = additions(delivery, presence, tenant);
  if (sample !== undefined) await putSample(delivery, tenant, deps);
  // In a restored table, the request can be newer than the state in which the host reported on it. Therefore
  // the report is recorded again here.
  if (head !== undefined) await recordProof(delivery, tenant, deps);
  const isLesson = !presence.isLearnt && isTimely(delivery);
  const isNoted = seen.identity !== presence.identity;
  if (head === undefined && !isFirstOfState && !isLesson && !isNoted) return true;
  const isOfState = seen.run !== undefined && seen.run === presence.run;
  const identity =
    seen.identity && isOfState && head !== undefined
      ? touchRun(seen.identity, seen.run!, delivery.at)
      : seen.identity;
  const headed: PresenceItem = {
    ...presence,
    ...(identity && { identity }),
    ...(isLesson && { isLearnt: true }),
    ...(head !== undefined && {
      lastSeenAt: head,
      sampledAt: intervalStart(delivery.at, phaseOf(delivery.assetId), tenant.telemetryResolutionSeconds),
      sequence: delivery.sequence,
      spoolDropped: delivery.heartbeat().spool.dropped,
    }),
  };
  if (isFirstOfState) return recordFirstOfState(delivery, seen, presence, headed, tenant, deps);
  const isQuiet = presence.openIncidents.some(({ absentSince }) => absentSince !== undefined);
  const incidents = isQuiet
    ? await readNamedIncidents(delivery, presence.openIncidents, tenant, deps)
    : new Map<string, IncidentItem>();
  const runs = isQuiet ? openRuns(presence, incidents) : undefined;
  const baseline = isLesson ? await learnLate(delivery, presence.stateAt, tenant, deps) : undefined;
  const plan = { before: presence, after: headed, runs, incidents, baseline, delivery, stateHash };
  return savePresence(plan, tenant, deps);
}

/** Rewrites the item of the current state from an earlier heartbeat of this state that arrived after a later one. */
async function recordFirstOfState(
  delivery: Delivery,
  seen: Seen,
  before: PresenceItem,
  headed: PresenceItem,
  tenant: TenantItem,
  deps: RecordDeps,
): Promise<boolean> {
  const { stateHash } = seen;
  const key = before.stateAt;
  const { isolatedBefore } = before;
  const { assessment, baseline } = await assess(delivery, key, tenant, deps, {
    identity: sceneFor(seen, delivery.at, isolatedBefore),
  });
  await putChange(delivery, key, assessment, tenant, deps);
  const incidents = await readIncidents(delivery, tenant, deps);
  const runs = await runsFrom(key, before, incidents, tenant, deps);
  const { lastSeenAt, sampledAt, sequence, spoolDropped, isLearnt } = headed;
  const after = {
    ...presenceOf(delivery, key, stateHash, assessment, [], tenant),
    ...usedBy(seen),
    ...(isolatedBefore && { isolatedBefore }),
    lastSeenAt,
    sampledAt,
    sequence,
    spoolDropped,
    isLearnt,
  };
  const inventory = inventoryOf(delivery, key);
  const plan = { before, after, runs, incidents, baseline, inventory, delivery, stateHash };
  return savePresence(plan, tenant, deps);
}
