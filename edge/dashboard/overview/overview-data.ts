import type { SecurityItem } from "../../../shared/table/items/security.ts";
import type { AssetView } from "../../control/assets/asset-view.ts";
import { listActionRequired } from "../../control/assets/read-assets.ts";
import { type IncidentView, listIncidents } from "../../control/incidents/list-incidents.ts";
import type { Page } from "../../control/table-query.ts";
import { listWaiting, type Waiting } from "../approvals/pending-approvals.ts";
import type { DashboardDeps } from "../deps.ts";
import type { FleetNumbers } from "./fleet-cache.ts";
import { readSecurity } from "./signature-faults.tsx";

/** Maximum number of open incidents that are read for each risk. If there are more, the overview says "more than". */
export const INCIDENTS_READ_MAX = 200;
export const CONTAINED_READ_MAX = 50;

/** Hosts in containment. `complete`: false if more such hosts exist than were read. */
export type Contained = { assets: AssetView[]; complete: boolean };

export type Overview = {
  critical: Page<IncidentView>;
  warning: Page<IncidentView>;
  contained: Contained;
  /** Isolation requests that wait for a second person. */
  approvals: Waiting;
  fleet: FleetNumbers;
  security: SecurityItem | undefined;
  now: number;
};

export type NumbersOf = (tenantId: string) => Promise<FleetNumbers>;

export async function loadOverview(
  deps: DashboardDeps,
  tenantId: string,
  numbersOf: NumbersOf,
): Promise<Overview> {
  const [critical, warning, actions, approvals, fleet, security] = await Promise.all([
    listIncidents(deps, tenantId, { risk: "CRITICAL", limit: INCIDENTS_READ_MAX, lifecycle: "active" }),
    listIncidents(deps, tenantId, { risk: "WARNING", limit: INCIDENTS_READ_MAX, lifecycle: "active" }),
    listActionRequired(deps, tenantId, { limit: CONTAINED_READ_MAX }),
    listWaiting(deps, tenantId),
    numbersOf(tenantId),
    readSecurity(deps, tenantId),
  ]);
  const now = deps.clock();
  const assets = actions.items.filter((asset) => asset.containment.state !== "active");
  const contained = { assets, complete: actions.cursor === undefined };
  return { critical, warning, contained, approvals, fleet, security, now };
}
