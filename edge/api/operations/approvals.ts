import { z } from "zod";
import { keyId } from "../../auth/authenticate-api-key.ts";
import { readAsset } from "../../control/assets/read-assets.ts";
import { approveIsolation } from "../../control/containment/approve-isolation.ts";
import { denyIsolation } from "../../control/containment/deny-isolation.ts";
import { listApprovals } from "../../control/containment/list-approvals.ts";
import { justified } from "../../control/justification.ts";
import { operation } from "../define-operation.ts";
import { page, pageFrom } from "../request-schemas.ts";
import { approvalView, assetView, pageOf } from "../response-schemas.ts";

const tag = "Isolations";

const all = operation({
  id: "listApprovals",
  method: "get",
  path: "/approvals",
  tag,
  summary: "List requests to isolate that a second person must approve, newest first",
  needs: "read",
  query: page,
  success: 200,
  answer: pageOf(approvalView),
  run: async ({ admin, query }, deps) => ({
    ok: true,
    value: { body: await listApprovals(deps, admin.tenantId, pageFrom(query)) },
  }),
});

const approve = operation({
  id: "approveIsolation",
  method: "post",
  path: "/approvals/{approvalId}/approve",
  tag,
  summary: "Approve another person's request to isolate",
  description:
    "Isolates the asset. You cannot approve your own request, or a request from an API key that you created. API keys cannot approve requests. A request expires after an hour.",
  needs: "approve",
  params: z.strictObject({ approvalId: keyId }),
  success: 202,
  answer: assetView,
  refusals: ["admin.conflict", "admin.capped", "admin.copies"],
  async run({ params: { approvalId }, asker }, deps) {
    const done = await approveIsolation(asker, approvalId, deps);
    if (!done.ok) return done;
    const body = await readAsset(deps, asker.admin.tenantId, done.value.result.assetId);
    return { ok: true, value: { body } };
  },
});

const deny = operation({
  id: "denyIsolation",
  method: "post",
  path: "/approvals/{approvalId}/deny",
  tag,
  summary: "Deny a request to isolate, or withdraw your own",
  needs: "approve",
  params: z.strictObject({ approvalId: keyId }),
  body: justified,
  success: 200,
  answer: assetView,
  refusals: ["admin.conflict"],
  async run({ params: { approvalId }, body, asker }, deps) {
    const done = await denyIsolation(asker, { approvalId, ...body }, deps);
    if (!done.ok) return done;
    return {
      ok: true,
      value: { body: await readAsset(deps, asker.admin.tenantId, done.value.result.assetId) },
    };
  },
});

export const approvalOperations = [all, approve, deny];
