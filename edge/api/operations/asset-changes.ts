import { z } from "zod";
import { assetId } from "../../../shared/ids.ts";
import { expireAsset } from "../../control/assets/expire-asset.ts";
import { mergeAssets } from "../../control/assets/merge-assets.ts";
import { BULK_ASSETS_MAX, retireAssets } from "../../control/assets/retire-assets.ts";
import { revokeAsset } from "../../control/assets/revoke-asset.ts";
import { madeTokenView } from "../../control/credentials/credential-views.ts";
import { rotateDeviceKey } from "../../control/credentials/manage-enrolment-tokens.ts";
import { justification, justified } from "../../control/justification.ts";
import { operation } from "../define-operation.ts";
import { assetParams, SILENT_HOURS_MAX } from "../request-schemas.ts";
import { retiredView } from "../response-schemas.ts";
import { changingAsset, respondWithAsset } from "./changed-asset.ts";

const revoke = operation({
  ...changingAsset,
  id: "revokeAsset",
  method: "post",
  path: "/assets/{assetId}/revoke",
  summary: "Revoke an asset permanently",
  description:
    "Within two seconds, every edge node refuses the heartbeats of the asset and opens no new sessions for it. You cannot undo this. A host that returns must enrol as a new asset.",
  needs: "manage-assets",
  body: justified,
  success: 200,
  async run({ params: { assetId }, body, asker }, deps) {
    return respondWithAsset(asker, assetId, await revokeAsset(asker, { assetId, ...body }, deps), deps);
  },
});

const expire = operation({
  ...changingAsset,
  id: "expireAsset",
  method: "post",
  path: "/assets/{assetId}/expire",
  summary: "Take an asset off the active list until its next heartbeat",
  description: "No data is deleted, and open incidents stay open. A contained asset is refused.",
  needs: "manage-assets",
  body: justified,
  success: 200,
  async run({ params: { assetId }, body, asker }, deps) {
    return respondWithAsset(asker, assetId, await expireAsset(asker, { assetId, ...body }, deps), deps);
  },
});

const merge = operation({
  ...changingAsset,
  id: "mergeAsset",
  method: "post",
  path: "/assets/{assetId}/merge",
  summary: "Merge an asset into the asset that replaced it",
  description:
    "For a host that was re-imaged or replaced and enrolled again. Revokes this asset permanently, closes its open incidents, and links both assets by `supersededBy` and `supersedes`. Refused if the asset is contained, if it reported within the last 10 minutes (unless you set `evenIfActive`), or if the other asset is revoked or merged.",
  needs: "manage-assets",
  body: z.strictObject({
    into: assetId.meta({ description: "The asset that replaces this one." }),
    justification,
    evenIfActive: z.boolean().default(false).meta({
      description: "Merge even if the asset reported within the last 10 minutes.",
    }),
  }),
  success: 200,
  async run({ params, body, asker }, deps) {
    const done = await mergeAssets(asker, { assetId: params.assetId, ...body }, deps);
    return respondWithAsset(asker, params.assetId, done, deps);
  },
});

const many = {
  method: "post",
  tag: "Assets",
  needs: "manage-assets",
  success: 200,
  answer: retiredView,
} as const;
const manyBody = z.strictObject({
  assetIds: z.array(assetId).min(1).max(BULK_ASSETS_MAX),
  justification,
  silentHours: z.int().min(1).max(SILENT_HOURS_MAX).optional().meta({
    description:
      "Skip assets that reported within this many hours, because they may have returned since you listed them.",
  }),
});
const MANY_DESCRIPTION =
  "All assets are changed in one transaction, with a custody record for each. `skipped` lists the assets that cannot be changed, with the reason. If you repeat the request, nothing changes and `skipped` lists the assets that were already changed.";

const expireMany = operation({
  ...many,
  id: "expireAssets",
  path: "/assets/expire",
  summary: "Take several assets off the active list until their next heartbeat",
  description: MANY_DESCRIPTION,
  body: manyBody,
  async run({ body, asker }, deps) {
    const done = await retireAssets(asker, { action: "expire", ...body }, deps);
    return done.ok ? { ok: true, value: { body: done.value } } : done;
  },
});

const revokeMany = operation({
  ...many,
  id: "revokeAssets",
  path: "/assets/revoke",
  summary: "Revoke several assets permanently",
  description: MANY_DESCRIPTION,
  body: manyBody.extend({
    evenIfContained: z.boolean().default(false).meta({
      description: "Also revoke contained assets. Afterwards they can only be released with a release code.",
    }),
  }),
  async run({ body, asker }, deps) {
    const done = await retireAssets(asker, { action: "revoke", ...body }, deps);
    return done.ok ? { ok: true, value: { body: done.value } } : done;
  },
});

const rotateKey = operation({
  id: "rotateAssetKey",
  method: "post",
  path: "/assets/{assetId}/rotate-key",
  tag: "Assets",
  summary: "Create a token that replaces the device key of an asset",
  description:
    "Creates a single-use enrolment token for this asset. The old device key stays valid until the device uses the token. If the key was stolen, revoke the asset instead.",
  needs: "manage-assets",
  params: assetParams,
  body: z.strictObject({ hours: z.int().min(1).max(168).default(24), justification }),
  success: 201,
  answer: madeTokenView,
  refusals: ["admin.conflict"],
  async run({ params: { assetId }, body, asker }, deps) {
    const made = await rotateDeviceKey(asker, { assetId, ...body }, deps);
    return made.ok ? { ok: true, value: { body: made.value } } : made;
  },
});

/** Operations that revoke, expire, merge and re-key assets. */
export const assetChangeOperations = [revoke, expire, merge, revokeMany, expireMany, rotateKey];
