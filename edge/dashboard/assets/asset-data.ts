import type { TelemetryChange } from "../../../shared/table/items/asset/telemetry.ts";
import { listTimeline, readState } from "../../control/assets/asset-timeline.ts";
import type { AssetView } from "../../control/assets/asset-view.ts";
import { readAsset } from "../../control/assets/read-assets.ts";
import { type CustodyView, listCustody } from "../../control/custody/list-custody.ts";
import { listAssetIncidents } from "../../control/incidents/list-incidents.ts";
import type { Page } from "../../control/table-query.ts";
import { type ApprovalView, listWaiting } from "../approvals/pending-approvals.ts";
import { type ChainCheck, checkChain } from "../custody/custody-table.tsx";
import type { DashboardDeps } from "../deps.ts";

const TIMELINE_MAX = 30;
export const CUSTODY_MAX = 50;

export type AssetDetails = {
  asset: AssetView;
  /** The newest state of the host. Undefined if none is stored. */
  state: TelemetryChange | undefined;
  timeline: Page<TelemetryChange>;
  /** True if the user opened an older page of the timeline, which does not begin with the newest state. */
  isOlder: boolean;
  custody: Page<CustodyView>;
  check: ChainCheck | undefined;
  incidents: Awaited<ReturnType<typeof listAssetIncidents>>;
  /** The isolation request for this host that waits for a second person. Undefined if no request waits. */
  waiting: ApprovalView | undefined;
  now: number;
};

/**
 * Reads all data for the page of a host. `older`: timeline cursor. Returns undefined if the tenant has no
 * such host.
 */
export async function loadAsset(
  deps: DashboardDeps,
  tenantId: string,
  assetId: string,
  older: string | undefined,
): Promise<AssetDetails | undefined> {
  const asset = await readAsset(deps, tenantId, assetId);
  if (!asset) return undefined;
  const { presence } = asset;
  const [state, timeline, custody, incidents, approvals] = await Promise.all([
    presence ? readState(deps, tenantId, assetId, presence.stateAt) : undefined,
    listTimeline(deps, tenantId, assetId, {
      limit: TIMELINE_MAX,
      ...(older !== undefined && { from: older }),
    }),
    listCustody(deps, tenantId, assetId, { limit: CUSTODY_MAX }),
    listAssetIncidents(deps, tenantId, assetId),
    listWaiting(deps, tenantId),
  ]);
  const now = deps.clock();
  return {
    asset,
    state,
    timeline,
    isOlder: older !== undefined,
    custody,
    check: await checkChain(custody.items),
    incidents,
    waiting: approvals.waiting.find((request) => request.assetId === assetId),
    now,
  };
}
