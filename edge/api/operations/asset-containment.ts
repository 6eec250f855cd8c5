import { z } from "zod";
import { mode } from "../../../shared/wire/heartbeat.ts";
import { RELEASE_CODE_HOURS_MAX } from "../../../shared/wire/release-code.ts";
import { listActionRequired } from "../../control/assets/read-assets.ts";
import { changeContainment } from "../../control/containment/isolate-or-release.ts";
import { makeReleaseCode } from "../../control/containment/release-code.ts";
import { justification, justified } from "../../control/justification.ts";
import { operation } from "../define-operation.ts";
import { assetParams, page, pageFrom } from "../request-schemas.ts";
import { assetView, pageOf, releaseCodeView } from "../response-schemas.ts";
import { changingAsset, respondWithAsset } from "./changed-asset.ts";

const everyCopy = z.boolean().default(false).meta({
  description:
    "If several machines share the identity of this asset, each of them would apply the directive. Set `true` to allow this. Otherwise the request is refused with `admin.copies`.",
});

const isolateAsset = operation({
  ...changingAsset,
  id: "isolateAsset",
  method: "post",
  path: "/assets/{assetId}/isolate",
  summary: "Isolate an asset",
  description:
    "Signs a directive that the agent receives with its next heartbeat or long poll. `containment.state` in the response shows what the host has proven so far.",
  needs: "contain",
  body: z.strictObject({
    mode: mode.default("observe"),
    justification,
    breakGlass: z.boolean().default(false).meta({
      description:
        "Skip the approval of a second person and the hourly limit. Only available to signed-in administrators. The custody record shows that the approval and the limit were skipped.",
    }),
    everyCopy,
  }),
  refusals: ["admin.conflict", "admin.capped", "admin.copies"],
  async run({ params: { assetId }, body, asker }, deps) {
    const { admin, ...origin } = asker;
    const done = await changeContainment(admin, { assetId, action: "isolate", ...body, ...origin }, deps);
    return respondWithAsset(asker, assetId, done, deps);
  },
});

const releaseAsset = operation({
  ...changingAsset,
  id: "releaseAsset",
  method: "post",
  path: "/assets/{assetId}/release",
  summary: "Release an isolated asset",
  needs: "contain",
  body: justified.extend({ everyCopy }),
  refusals: ["admin.conflict", "admin.copies"],
  async run({ params: { assetId }, body, asker }, deps) {
    const { admin, ...origin } = asker;
    const done = await changeContainment(admin, { assetId, action: "release", ...body, ...origin }, deps);
    return respondWithAsset(asker, assetId, done, deps);
  },
});

const listIsolations = operation({
  id: "listIsolations",
  method: "get",
  path: "/isolations",
  tag: "Isolations",
  summary: "List open isolations and releases with their proof, newest first",
  description: "An asset is in this list from the request to isolate it until its release is proven.",
  needs: "read",
  query: page,
  success: 200,
  answer: pageOf(assetView),
  async run({ admin, query }, deps) {
    const found = await listActionRequired(deps, admin.tenantId, pageFrom(query));
    // Exclude revoked assets that were never isolated. The index of pending actions contains them too.
    const items = found.items.filter(({ containment }) => containment.requestedAt !== undefined);
    return { ok: true, value: { body: { ...found, items } } };
  },
});

const createReleaseCode = operation({
  id: "createReleaseCode",
  method: "post",
  path: "/assets/{assetId}/release-code",
  tag: "Assets",
  summary: "Create a one-time code that releases a host that is offline",
  description:
    "Enter the code at the host with `lz-agent release --code`. The code is only valid for this asset and its current generation, and expires after the given number of hours. Only the first response contains the code, because it is not stored.",
  needs: "contain",
  params: assetParams,
  body: z.strictObject({ hours: z.int().min(1).max(RELEASE_CODE_HOURS_MAX).default(24), justification }),
  success: 201,
  answer: releaseCodeView,
  refusals: ["admin.conflict"],
  async run({ params: { assetId }, body, asker }, deps) {
    const made = await makeReleaseCode(asker, { assetId, ...body }, deps);
    return made.ok ? { ok: true, value: { body: made.value } } : made;
  },
});

/** Operations that isolate and release assets. */
export const containmentOperations = [createReleaseCode, isolateAsset, releaseAsset, listIsolations];
