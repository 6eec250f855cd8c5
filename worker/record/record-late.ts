import type { PresenceItem } from "../../shared/table/items/asset/presence.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import { assess } from "../assess/assess-heartbeat.ts";
import { isTimely } from "../assess/baseline.ts";
import type { Known } from "../assess/presence-cache.ts";
import type { Delivery } from "../heartbeat/parse-heartbeat.ts";
import { changePut, expiry } from "../heartbeat/telemetry-items.ts";
import type { TimelinePosition } from "../heartbeat/timeline-position.ts";
import { recordProof } from "./containment-proof.ts";
import type { RecordDeps } from "./deps.ts";
import { type Seen, sceneFor, withUse } from "./identity-in-use.ts";
import { readChange, readIncidents, runsFrom } from "./incident-history.ts";
import { ignoreStale, putChange, putSample } from "./put-telemetry.ts";
import { savePresence } from "./save-presence.ts";

/**
 * Records a late state, which a newer state has replaced. The late state is added to the timeline, and its
 * findings become incidents. Later states determine how these incidents continued, so all runs are recomputed
 * from the table.
 */
export async function recordLate(
  delivery: Delivery,
  { key, resumedAt }: Extract<TimelinePosition, { kind: "late" }>,
  seen: Seen,
  known: Known,
  tenant: TenantItem,
  deps: RecordDeps,
): Promise<boolean> {
  const { presence, done } = known;
  await putSample(delivery, tenant, deps);
  const before = done.get(key);
  const isLearnt = isTimely(delivery) || before?.isLearnt === true;
  if (before && before.sequence <= delivery.sequence && before.isLearnt === isLearnt) return true;
  const { stateHash } = seen;
  const identity = sceneFor(seen, delivery.at, presence.isolatedBefore);
  const { assessment, baseline } = await assess(delivery, key, tenant, deps, { identity });
  await putChange(delivery, key, assessment, tenant, deps);
  const resumed = resumedAt === undefined ? presence : await resume(presence, resumedAt, tenant, deps);
  const after = withUse(resumed, seen);
  await recordProof(delivery, tenant, deps);
  const incidents = await readIncidents(delivery, tenant, deps);
  const isConcerned = incidents.size > 0 || assessment.findings.length > 0;
  const runs = isConcerned ? await runsFrom(key, after, incidents, tenant, deps) : undefined;
  const isDone = await savePresence(
    { before: presence, after, runs, incidents, baseline, delivery, stateHash },
    tenant,
    deps,
  );
  const sequence = Math.min(delivery.sequence, before?.sequence ?? delivery.sequence);
  if (isDone) done.set(key, { sequence, isLearnt });
  return isDone;
}

/**
 * Adds the state of presence to the timeline again, at the time when the asset was last seen in this state.
 * Without this item, the contradicting earlier state would be the newest in the history.
 */
async function resume(
  presence: PresenceItem,
  at: string,
  tenant: TenantItem,
  deps: RecordDeps,
): Promise<PresenceItem> {
  const item = await readChange(presence, tenant, deps);
  if (item) {
    const resumed = { ...item, at, sequence: presence.sequence, expiresAt: expiry({ ...item, at }, tenant) };
    await ignoreStale(deps.dynamo("PutItem", changePut(resumed, tenant, deps.table)));
  }
  return { ...presence, stateAt: at, stateSequence: presence.sequence };
}
