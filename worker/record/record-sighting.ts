import { noteRefused } from "../../shared/fleet/identity-use.ts";
import type { CopySighting } from "../../shared/queue/copy-sighting.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import { BusyFault } from "../platform/transient-error.ts";
import type { RecordDeps } from "./deps.ts";
import { savePresence } from "./save-presence.ts";

/** Maximum number of attempts after optimistic-lock conflicts. */
const ROUNDS_MAX = 16;

/**
 * Notes in the presence of an asset that the edge denied the asset's identity to another machine. The next
 * heartbeat of the asset opens the incident. Assets that never reported are ignored.
 */
export async function recordSighting(
  { tenantId, assetId, receivedAt }: { tenantId: string; assetId: string; receivedAt: string },
  { copied }: CopySighting,
  tenant: TenantItem,
  deps: RecordDeps,
): Promise<void> {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    if (round > 0) await deps.pause(round);
    const presence = (await deps.presences.load(tenantId, assetId))?.presence;
    if (!presence) return;
    const { intervalMs, stateHash } = presence;
    const identity = noteRefused(presence.identity, {
      hostname: copied.hostname,
      at: receivedAt,
      intervalMs,
    });
    if (identity === presence.identity) return;
    const isDone = await savePresence(
      {
        before: presence,
        after: { ...presence, identity },
        runs: undefined,
        incidents: new Map(),
        baseline: undefined,
        delivery: { tenantId, assetId, raw: undefined },
        stateHash,
      },
      tenant,
      deps,
    );
    if (isDone) return;
  }
  throw new BusyFault(
    `Could not save the sighting of a copy of ${assetId}: ${ROUNDS_MAX} write conflicts in a row.`,
  );
}
