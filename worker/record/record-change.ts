import type { PresenceItem } from "../../shared/table/items/asset/presence.ts";
import type { IncidentItem } from "../../shared/table/items/incident.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import { assess } from "../assess/assess-heartbeat.ts";
import type { Delivery } from "../heartbeat/parse-heartbeat.ts";
import { recordProof } from "./containment-proof.ts";
import type { RecordDeps } from "./deps.ts";
import { type Seen, sceneFor, usedBy } from "./identity-in-use.ts";
import { openRuns, readNamedIncidents } from "./incident-history.ts";
import { applyState } from "./incident-runs.ts";
import { inventoryOf } from "./inventory-item.ts";
import { readIsolatedBefore } from "./isolated-before.ts";
import { presenceOf } from "./presence-item.ts";
import { putChange, putSample } from "./put-telemetry.ts";
import { savePresence } from "./save-presence.ts";

/**
 * Records a new state that is the newest of its asset: telemetry item, containment proof, incidents and
 * presence. Returns false after an optimistic-lock conflict.
 */
export async function recordChange(
  delivery: Delivery,
  key: string,
  seen: Seen,
  { before, round }: { before: PresenceItem | undefined; round: number },
  tenant: TenantItem,
  deps: RecordDeps,
): Promise<boolean> {
  // Baseline and incidents are written with or after presence, so an asset without presence has neither of
  // them. After a crash between two transactions, this assumption can be wrong. In that case the write fails,
  // and the next attempt reads them.
  const isFirst = before === undefined && round === 0;
  const isolatedBefore = before ? before.isolatedBefore : await readIsolatedBefore(delivery, seen, deps);
  const identity = sceneFor(seen, delivery.at, isolatedBefore);
  const { assessment, baseline } = await assess(delivery, key, tenant, deps, { isFirst, identity });
  await putChange(delivery, key, assessment, tenant, deps);
  await putSample(delivery, tenant, deps);
  await recordProof(delivery, tenant, deps);
  const names = [...(before?.openIncidents ?? []), ...assessment.findings];
  const incidents = isFirst
    ? new Map<string, IncidentItem>()
    : await readNamedIncidents(delivery, names, tenant, deps);
  const runs = openRuns(before, incidents);
  const { hostname } = delivery.heartbeat().host;
  applyState(runs, { at: key, hostname, findings: assessment.findings }, tenant.quietPeriodSeconds * 1000);
  const { stateHash } = seen;
  const after = {
    ...presenceOf(delivery, key, stateHash, assessment, [], tenant),
    ...usedBy(seen),
    ...(isolatedBefore && { isolatedBefore }),
  };
  const inventory = inventoryOf(delivery, key);
  const plan = { before, after, runs, incidents, baseline, inventory, delivery, stateHash };
  return savePresence(plan, tenant, deps);
}
