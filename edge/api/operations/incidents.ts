import { z } from "zod";
import { assetId, slug } from "../../../shared/ids.ts";
import { refuse } from "../../../shared/verdict.ts";
import { LIFECYCLES } from "../../control/assets/read-assets.ts";
import type { Decision } from "../../control/custody/change-plan.ts";
import { incidentName } from "../../control/incidents/incident-name.ts";
import { incidentView as viewOf } from "../../control/incidents/list-incidents.ts";
import { findIncidents, readIncidentItem } from "../../control/incidents/search-incidents.ts";
import {
  acknowledgeIncidents,
  BULK_INCIDENTS_MAX,
  resolveIncident,
} from "../../control/incidents/update-incidents.ts";
import { justification, words } from "../../control/justification.ts";
import { type Outcome, operation } from "../define-operation.ts";
import type { ApiDeps } from "../deps.ts";
import { incidentParams, page, pageFrom } from "../request-schemas.ts";
import { acknowledgedView, incidentView, pageOf } from "../response-schemas.ts";

const tag = "Incidents";

const listIncidents = operation({
  id: "listIncidents",
  method: "get",
  path: "/incidents",
  tag,
  summary: "List open incidents with a given risk, newest first",
  needs: "read",
  query: page.extend({
    risk: z.enum(["WARNING", "CRITICAL"]).default("CRITICAL"),
    rule: slug.optional(),
    engine: slug.optional(),
    asset: assetId.optional(),
    lifecycle: z.enum(LIFECYCLES).optional().meta({
      description:
        "Lifecycle of the hosts whose incidents are listed: `active` (default), `expired` or `all` (default with `asset`). Open incidents of an expired host stay open, and return to the list together with the host.",
    }),
  }),
  success: 200,
  answer: pageOf(incidentView).extend({
    expiredLeftOut: z.int().optional().meta({
      description:
        "Number of matching incidents that are left out because their hosts are expired. Only present with `lifecycle=active`.",
    }),
  }),
  async run({ admin, query }, deps) {
    const { risk, rule, engine, asset, lifecycle = asset === undefined ? "active" : "all" } = query;
    const filter = { risk, rule, engine, assetId: asset, lifecycle };
    return { ok: true, value: { body: await findIncidents(deps, admin.tenantId, filter, pageFrom(query)) } };
  },
});

const getIncident = operation({
  id: "getIncident",
  method: "get",
  path: "/incidents/{incidentId}",
  tag,
  summary: "Read an incident, open or resolved",
  needs: "read",
  params: incidentParams,
  success: 200,
  answer: incidentView,
  run: ({ admin, params }, deps) => answerIncident(admin.tenantId, params.incidentId, deps),
});

async function answerIncident(tenantId: string, id: string, deps: ApiDeps): Promise<Outcome> {
  const stored = await readIncidentItem(deps, tenantId, id);
  return stored ? { ok: true, value: { body: viewOf(stored.item) } } : refuse("admin.not-found");
}

async function answerChanged(
  tenantId: string,
  id: string,
  done: Decision<unknown>,
  deps: ApiDeps,
): Promise<Outcome> {
  return done.ok ? answerIncident(tenantId, id, deps) : done;
}

const changing = {
  tag,
  needs: "handle-incidents",
  success: 200,
  refusals: ["admin.conflict"],
} as const;

const acknowledge = operation({
  ...changing,
  id: "acknowledgeIncident",
  method: "post",
  path: "/incidents/{incidentId}/acknowledge",
  summary: "Acknowledge an incident",
  params: incidentParams,
  body: z.strictObject({ justification: justification.optional() }),
  answer: incidentView,
  async run({ params: { incidentId }, body, asker }, deps) {
    const done = await acknowledgeIncidents(asker, { ids: [incidentId], ...body }, deps);
    return answerChanged(asker.admin.tenantId, incidentId, done, deps);
  },
});

const acknowledgeMany = operation({
  ...changing,
  id: "acknowledgeIncidents",
  method: "post",
  path: "/incidents/acknowledge",
  refusals: ["admin.conflict", "admin.not-found"],
  summary: "Acknowledge several incidents",
  description:
    "All incidents are acknowledged in one transaction, with a custody record for each. `skipped` lists the incidents that cannot be acknowledged, with the reason.",
  body: z.strictObject({
    incidentIds: z.array(incidentName).min(1).max(BULK_INCIDENTS_MAX),
    justification: justification.optional(),
  }),
  answer: acknowledgedView,
  async run({ body: { incidentIds, ...more }, asker }, deps) {
    const done = await acknowledgeIncidents(asker, { ids: incidentIds, ...more }, deps);
    return done.ok ? { ok: true, value: { body: done.value.result } } : done;
  },
});

const resolve = operation({
  ...changing,
  id: "resolveIncident",
  method: "post",
  path: "/incidents/{incidentId}/resolve",
  summary: "Resolve an incident with a reason",
  description: "The incident is reopened if its condition occurs again in a later state of the asset.",
  params: incidentParams,
  body: z.strictObject({ reason: words(1000) }),
  answer: incidentView,
  async run({ params: { incidentId: id }, body, asker }, deps) {
    return answerChanged(asker.admin.tenantId, id, await resolveIncident(asker, { id, ...body }, deps), deps);
  },
});

export const incidentOperations = [listIncidents, getIncident, acknowledge, acknowledgeMany, resolve];
