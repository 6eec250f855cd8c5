import type { TenantItem } from "../../shared/table/items/tenant.ts";
import { stateText } from "../../shared/wire/state.ts";
import { isTimely } from "../assess/baseline.ts";
import type { Known } from "../assess/presence-cache.ts";
import type { Delivery } from "../heartbeat/parse-heartbeat.ts";
import { hasMark, policyKeyOf, stateHashOf, withoutSpool } from "../heartbeat/state-hash.ts";
import {
  additions,
  isNewerThan,
  type Moment,
  repeats,
  timelinePositionOf,
} from "../heartbeat/timeline-position.ts";
import { BusyFault } from "../platform/transient-error.ts";
import type { RecordDeps } from "./deps.ts";
import { marksOf, useOf } from "./identity-in-use.ts";
import { recordChange } from "./record-change.ts";
import { recordLate } from "./record-late.ts";
import { recordSame } from "./record-same.ts";

/** Maximum number of attempts after optimistic-lock conflicts. */
const ROUNDS_MAX = 16;

/** True if this worker knows that the table already contains everything in this heartbeat. */
export function addsNothing(
  moment: Moment & Pick<Delivery, "raw" | "waiting" | "dropped">,
  known: Known | undefined,
  tenant: TenantItem,
): boolean {
  if (known?.raw === undefined || known.raw !== moment.raw || known.policyKey !== policyKeyOf(tenant))
    return false;
  const { presence } = known;
  // Another machine has used this identity in the meantime, so the return of this machine must be recorded.
  if (presence.run !== undefined && presence.run !== presence.identity?.latest) return false;
  const mark = marksOf(moment, presence.identity, presence.intervalMs, tenant);
  if (!hasMark(presence.stateHash, mark) && isNewerThan(presence, moment, tenant)) return false;
  if (!presence.isLearnt && isTimely(moment)) return false;
  if (repeats(moment, presence, tenant)) return true;
  if (timelinePositionOf(moment, presence.stateHash, presence, tenant).kind !== "same") return false;
  const { head, sample, isFirstOfState } = additions(moment, presence, tenant);
  return head === undefined && sample === undefined && !isFirstOfState;
}

/**
 * Records one heartbeat. Every change of state is stored, and other heartbeats are sampled:
 *
 * - For a change of state: its telemetry item, the containment proof, its incidents and presence.
 * - For a late state, which a newer one has replaced: its telemetry item, and the incidents recomputed from
 *   the history.
 * - For the same state: a sample and presence once per resolution interval, otherwise no write.
 *
 * Keys and contents depend on the heartbeats alone, and presence is written with an optimistic lock.
 * Duplicates, late heartbeats and parallel workers therefore result in the same table. The only exception is
 * `identity` of presence, which depends on the order of delivery. Presence and incidents are written in the
 * last transaction, so a crash before it repeats everything.
 */
export async function recordHeartbeat(
  delivery: Delivery,
  tenant: TenantItem,
  deps: RecordDeps,
): Promise<void> {
  const { tenantId, assetId } = delivery;
  const remembered = deps.presences.peek(tenantId, assetId);
  if (addsNothing(delivery, remembered, tenant)) return;
  const hash = hashOf(delivery, remembered, tenant);
  for (let round = 0; round < ROUNDS_MAX; round++) {
    if (round > 0) await deps.pause(round);
    // Each worker sees only some of an asset's heartbeats. The cache may only prove that there is nothing to
    // do. Decisions always use a fresh read.
    const known = await deps.presences.load(tenantId, assetId);
    const use = useOf(delivery, known);
    const stateHash = hash + marksOf(delivery, use.identity, use.intervalMs, tenant);
    const place = timelinePositionOf(delivery, stateHash, known?.presence, tenant);
    const isDone =
      place.kind === "change"
        ? await recordChange(
            delivery,
            place.key,
            { stateHash, ...use },
            { before: known?.presence, round },
            tenant,
            deps,
          )
        : place.kind === "late"
          ? await recordLate(delivery, place, { stateHash, ...use }, known!, tenant, deps)
          : await recordSame(delivery, { stateHash, ...use }, known!.presence, tenant, deps);
    if (isDone) return;
  }
  throw new BusyFault(`Could not save the presence of ${assetId}: ${ROUNDS_MAX} write conflicts in a row.`);
}

function hashOf(delivery: Delivery, known: Known | undefined, tenant: TenantItem): string {
  const policyKey = policyKeyOf(tenant);
  const isKnown = known?.raw !== undefined && known.raw === delivery.raw && known.policyKey === policyKey;
  return isKnown
    ? withoutSpool(known.presence.stateHash)
    : stateHashOf(stateText(delivery.heartbeat()), policyKey);
}
