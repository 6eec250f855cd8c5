import { z } from "zod";
import { employeeId, slug } from "../../../shared/ids.ts";
import { ASSET_STATUSES } from "../../../shared/table/items/asset/asset.ts";
import { refuse } from "../../../shared/verdict.ts";
import { integerText } from "../../../shared/wire/integer.ts";
import { text } from "../../../shared/wire/text.ts";
import { listTimeline } from "../../control/assets/asset-timeline.ts";
import { LIFECYCLES, readAsset } from "../../control/assets/read-assets.ts";
import { findAssets } from "../../control/assets/search-assets.ts";
import { listCustody } from "../../control/custody/list-custody.ts";
import { listIncidentsOf } from "../../control/incidents/search-incidents.ts";
import { type Outcome, operation } from "../define-operation.ts";
import type { ApiDeps } from "../deps.ts";
import { assetParams, page, pageFrom, SILENT_HOURS_MAX } from "../request-schemas.ts";
import {
  assetView,
  CONTAINMENT_STATES,
  custodyView,
  incidentView,
  pageOf,
  telemetryView,
} from "../response-schemas.ts";

const tag = "Assets";

const listAssets = operation({
  id: "listAssets",
  method: "get",
  path: "/assets",
  tag,
  summary: "List and search assets",
  description:
    "An asset must match all filters. Each request reads a limited number of assets, so a page can be short or empty and still have a cursor. Follow the cursor until the response has no cursor.",
  needs: "read",
  query: page.extend({
    status: z.enum(ASSET_STATUSES).optional().meta({ description: "Requested status." }),
    state: z
      .enum(CONTAINMENT_STATES)
      .optional()
      .meta({ description: "Requested status combined with what the host has proven." }),
    engine: slug.optional().meta({ description: "Catalogue id of an engine in the newest report." }),
    employee: employeeId.optional(),
    hostname: text(253).optional().meta({
      description:
        "Part of the host name. The comparison ignores case. With a `*` as wildcard, the filter must match the whole name.",
    }),
    os: text(120)
      .optional()
      .meta({ description: "Part of the operating system's name. The comparison ignores case." }),
    silentHours: integerText(1, SILENT_HOURS_MAX).optional().meta({
      description:
        "Minimum number of hours without a heartbeat. For a host that never reported, they count from its enrolment.",
    }),
    neverReported: z.enum(["true", "false"]).optional(),
    lifecycle: z.enum(LIFECYCLES).default("active").meta({
      description:
        "`active`: assets on the active list. `expired`: assets that left the active list. `all`: both.",
    }),
  }),
  success: 200,
  answer: pageOf(assetView).extend({
    expiredLeftOut: z.int().optional().meta({
      description:
        "Number of matching assets that are left out because they are expired. Only present with `lifecycle=active`.",
    }),
  }),
  async run({ admin, query }, deps) {
    const { limit, cursor, neverReported, ...rest } = query;
    const filter = { ...rest, ...(neverReported && { neverReported: neverReported === "true" }) };
    return {
      ok: true,
      value: { body: await findAssets(deps, admin.tenantId, filter, pageFrom({ limit, cursor })) },
    };
  },
});

const getAsset = operation({
  id: "getAsset",
  method: "get",
  path: "/assets/{assetId}",
  tag,
  summary: "Read an asset with its containment and presence",
  needs: "read",
  params: assetParams,
  success: 200,
  answer: assetView,
  run: ({ admin, params }, deps) => answerAsset(admin.tenantId, params.assetId, deps),
});

async function answerAsset(tenantId: string, assetId: string, deps: ApiDeps): Promise<Outcome> {
  const body = await readAsset(deps, tenantId, assetId);
  return body ? { ok: true, value: { body } } : refuse("admin.not-found");
}

/**
 * Responds with a list of items of one asset, such as its timeline. Refuses an unknown asset with
 * `admin.not-found`.
 */
async function ofAsset(
  tenantId: string,
  assetId: string,
  list: () => Promise<object>,
  deps: ApiDeps,
): Promise<Outcome> {
  const asset = await readAsset(deps, tenantId, assetId);
  return asset ? { ok: true, value: { body: await list() } } : refuse("admin.not-found");
}

const listAssetTimeline = operation({
  id: "listAssetTimeline",
  method: "get",
  path: "/assets/{assetId}/timeline",
  tag,
  summary: "List an asset's state changes, newest first",
  needs: "read",
  params: assetParams,
  query: page,
  success: 200,
  answer: pageOf(telemetryView),
  run: ({ admin: { tenantId }, params: { assetId }, query }, deps) =>
    ofAsset(tenantId, assetId, () => listTimeline(deps, tenantId, assetId, pageFrom(query)), deps),
});

const listAssetIncidents = operation({
  id: "listAssetIncidents",
  method: "get",
  path: "/assets/{assetId}/incidents",
  tag,
  summary: "List the incidents of an asset, including resolved ones",
  needs: "read",
  params: assetParams,
  query: page,
  success: 200,
  answer: pageOf(incidentView),
  run: ({ admin: { tenantId }, params: { assetId }, query }, deps) =>
    ofAsset(tenantId, assetId, () => listIncidentsOf(deps, tenantId, assetId, pageFrom(query)), deps),
});

const listAssetCustody = operation({
  id: "listAssetCustody",
  method: "get",
  path: "/assets/{assetId}/custody",
  tag,
  summary: "List the custody records of an asset, newest first",
  needs: "read",
  params: assetParams,
  query: page,
  success: 200,
  answer: pageOf(custodyView),
  run: ({ admin: { tenantId }, params: { assetId }, query }, deps) =>
    ofAsset(tenantId, assetId, () => listCustody(deps, tenantId, assetId, pageFrom(query)), deps),
});

/** Operations that read assets. */
export const assetOperations = [
  listAssets,
  getAsset,
  listAssetTimeline,
  listAssetIncidents,
  listAssetCustody,
];
