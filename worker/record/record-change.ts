import type { PresenceItem } from "../../shared/table/items/asset/presence.ts";
import type { IncidentItem } from "../../shared/table/items/incident.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import { judge } from "../assess/assess-heartbeat.ts";
import type { Delivery } from "../heartbeat/parse-heartbeat.ts";
import { recordProof } from "./containment-proof.ts";
import type { RecordDeps } from "./deps.ts";
import { type Seen, sceneFor, usedBy } from "./identity-in-use.ts";
import { openRuns, readNamedIncidents } from "./incident-history.ts";
import { takeState } from "./incident-runs.ts";
import { inventoryOf } from "./inventory-item.ts";
import { readIsolatedBefore } from "./isolated-before.ts";
import { presenceOf } from "./presence-item.ts";
import { putChange, putSample } from "./put-telemetry.ts";
import { settle } from "./save-presence.ts";

/**
 * Records a new state, the newest of its asset: telemetry item, containment proof, incidents and presence. False
 * after an optimistic-lock conflict.
 */
export async function recordChange(
  delivery: Delivery,
  key: string,
  seen: Seen,
  { before, round }: { before: PresenceItem | undefined; round: number },
  tenant: TenantItem,
  deps: RecordDeps,
): Promise<boolean> {
  // Baseline and incidents are written with or after presence, so an asset without presence has neither.
  // After a crash between two transactions this may be wrong; then the write is refused, and the next attempt
  // reads.
  const isFirst = before === undefined && round === 0;
  const isolatedBefore = before ? before.isolatedBefore : await readIsolatedBefore(delivery, seen, deps);
  const identity = sceneFor(seen, delivery.at, isolatedBefore);
  const { judgement, baseline } = await judge(delivery, key, tenant, deps, { isFirst, identity });
  await putChange(delivery, key, judgement, tenant, deps);
  await putSample(delivery, tenant, deps);
  await recordProof(delivery, tenant, deps);
  const names = [...(before?.openIncidents ?? []), ...judgement.findings];
  const incidents = isFirst
    ? new Map<string, IncidentItem>()
    : await readNamedIncidents(delivery, names, tenant, deps);
  const runs = openRuns(before, incidents);
  const { hostname } = delivery.heartbeat().host;
  takeState(runs, { at: key, hostname, findings: judgement.findings }, tenant.quietPeriodSeconds * 1000);
  const { stateHash } = seen;
  const after = {
    ...presenceOf(delivery, key, stateHash, judgement, [], tenant),
    ...usedBy(seen),
    ...(isolatedBefore && { isolatedBefore }),
  };
  const inventory = inventoryOf(delivery, key);
  const plan = { before, after, runs, incidents, baseline, inventory, delivery, stateHash };
  return settle(plan, tenant, deps);
}
