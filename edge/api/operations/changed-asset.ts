import { readAsset } from "../../control/assets/read-assets.ts";
import type { Asker, Decision } from "../../control/custody/change-plan.ts";
import type { Outcome } from "../define-operation.ts";
import type { ApiDeps } from "../deps.ts";
import { assetParams } from "../request-schemas.ts";
import { assetView } from "../response-schemas.ts";

/**
 * Responds with the asset after a change. If the change is refused with a conflict, the response contains the
 * asset in `current`.
 */
export async function respondWithAsset(
  asker: Asker,
  assetId: string,
  done: Decision<unknown>,
  deps: ApiDeps,
): Promise<Outcome> {
  if (!done.ok && done.code !== "admin.conflict" && done.code !== "admin.copies") return done;
  const current = await readAsset(deps, asker.admin.tenantId, assetId);
  return done.ok ? { ok: true, value: { body: current } } : { ...done, more: { current } };
}

/** Properties shared by all operations that change one asset. */
export const changingAsset = {
  tag: "Assets",
  params: assetParams,
  success: 202,
  answer: assetView,
  refusals: ["admin.conflict"],
} as const;
