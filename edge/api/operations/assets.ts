import { z } from "zod";
import { assetId, employeeId, slug } from "../../../shared/ids.ts";
import { ASSET_STATUSES } from "../../../shared/table/items/asset/asset.ts";
import { refuse } from "../../../shared/verdict.ts";
import { mode } from "../../../shared/wire/heartbeat.ts";
import { integerText } from "../../../shared/wire/integer.ts";
import { RELEASE_CODE_HOURS_MAX } from "../../../shared/wire/release-code.ts";
import { text } from "../../../shared/wire/text.ts";
import { listTimeline } from "../../control/assets/asset-timeline.ts";
import { expireAsset } from "../../control/assets/expire-asset.ts";
import { mergeAssets } from "../../control/assets/merge-assets.ts";
import { LIFECYCLES, listActionRequired, readAsset } from "../../control/assets/read-assets.ts";
import { BULK_ASSETS_MAX, retireAssets } from "../../control/assets/retire-assets.ts";
import { revokeAsset } from "../../control/assets/revoke-asset.ts";
import { findAssets } from "../../control/assets/search-assets.ts";
import { changeContainment } from "../../control/containment/isolate-or-release.ts";
import { makeReleaseCode } from "../../control/containment/release-code.ts";
import { madeTokenView } from "../../control/credentials/credential-views.ts";
import { rotateDeviceKey } from "../../control/credentials/manage-enrolment-tokens.ts";
import type { Asker, Decision } from "../../control/custody/custody-transaction.ts";
import { listCustody } from "../../control/custody/list-custody.ts";
import { listIncidentsOf } from "../../control/incidents/search-incidents.ts";
import { justification, justified } from "../../control/justification.ts";
import type { Deps } from "../../deps.ts";
import { type Outcome, operation } from "../define-operation.ts";
import { assetParams, page, pageFrom } from "../request-schemas.ts";
import {
  assetView,
  CONTAINMENT_STATES,
  custodyView,
  incidentView,
  pageOf,
  releaseCodeView,
  retiredView,
  telemetryView,
} from "../response-schemas.ts";

const tag = "Assets";

/** Ten years, as long as a tenant may set. */
const SILENT_HOURS_MAX = 3650 * 24;

const listAssets = operation({
  id: "listAssets",
  method: "get",
  path: "/assets",
  tag,
  summary: "List and search assets",
  description:
    "Filters are joined by and. Each request reads a bounded part of the tenant, so a page may be short, or empty, and still have a cursor: follow it until there is none.",
  needs: "read",
  query: page.extend({
    status: z.enum(ASSET_STATUSES).optional().meta({ description: "What the admin wants of it." }),
    state: z.enum(CONTAINMENT_STATES).optional().meta({ description: "Wish and proof taken together." }),
    engine: slug.optional().meta({ description: "Catalogue id of an engine found on it last." }),
    employee: employeeId.optional(),
    hostname: text(253).optional().meta({
      description: "Part of the host name, in any case. With a *, which stands for anything, the whole name.",
    }),
    os: text(120).optional().meta({ description: "Part of the operating system, in any case." }),
    silentHours: integerText(1, SILENT_HOURS_MAX).optional().meta({
      description:
        "No heartbeat for at least this many hours. A host that never reported counts from enrolment.",
    }),
    neverReported: z.enum(["true", "false"]).optional(),
    lifecycle: z.enum(LIFECYCLES).default("active").meta({
      description: "`active`: the active list. `expired`: assets that left it. `all`: both.",
    }),
  }),
  success: 200,
  answer: pageOf(assetView).extend({
    expiredLeftOut: z
      .int()
      .optional()
      .meta({ description: "With `lifecycle` active: expired assets that fit and are not in this page." }),
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

async function answerAsset(tenantId: string, assetId: string, deps: Deps): Promise<Outcome> {
  const body = await readAsset(deps, tenantId, assetId);
  return body ? { ok: true, value: { body } } : refuse("admin.not-found");
}

/** A list of something that belongs to an asset; 404 for an asset the tenant does not have. */
async function ofAsset(
  tenantId: string,
  assetId: string,
  list: () => Promise<object>,
  deps: Deps,
): Promise<Outcome> {
  const asset = await readAsset(deps, tenantId, assetId);
  return asset ? { ok: true, value: { body: await list() } } : refuse("admin.not-found");
}

const listAssetTimeline = operation({
  id: "listAssetTimeline",
  method: "get",
  path: "/assets/{assetId}/timeline",
  tag,
  summary: "List the changes of an asset's state, newest first",
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
  summary: "List the incidents of an asset, resolved ones too",
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

/** What a change of an asset is answered with: the asset as it is, also when that is the reason to refuse. */
async function answerChange(
  asker: Asker,
  assetId: string,
  done: Decision<unknown>,
  deps: Deps,
): Promise<Outcome> {
  if (!done.ok && done.code !== "admin.conflict" && done.code !== "admin.copies") return done;
  const current = await readAsset(deps, asker.admin.tenantId, assetId);
  return done.ok ? { ok: true, value: { body: current } } : { ...done, more: { current } };
}

const changing = {
  tag,
  params: assetParams,
  success: 202,
  answer: assetView,
  refusals: ["admin.conflict"],
} as const;

const everyCopy = z.boolean().default(false).meta({
  description:
    "Several machines use the identity of this asset and each would obey: true changes all of them. Without it the answer is 409 `admin.copies`.",
});

const isolateAsset = operation({
  ...changing,
  id: "isolateAsset",
  method: "post",
  path: "/assets/{assetId}/isolate",
  summary: "Wish an asset isolated",
  description:
    "Signs a directive that the agent gets with its next heartbeat. The answer is the wish: `containment.state` says what is proven of it.",
  needs: "contain",
  body: z.strictObject({
    mode: mode.default("observe"),
    justification,
    breakGlass: z.boolean().default(false).meta({
      description: "An administrator in person goes past second person and cap. The record says so.",
    }),
    everyCopy,
  }),
  refusals: ["admin.conflict", "admin.capped", "admin.copies"],
  async run({ params: { assetId }, body, asker }, deps) {
    const { admin, ...origin } = asker;
    const done = await changeContainment(admin, { assetId, action: "isolate", ...body, ...origin }, deps);
    return answerChange(asker, assetId, done, deps);
  },
});

const releaseAsset = operation({
  ...changing,
  id: "releaseAsset",
  method: "post",
  path: "/assets/{assetId}/release",
  summary: "Wish an isolated asset released",
  needs: "contain",
  body: justified.extend({ everyCopy }),
  refusals: ["admin.conflict", "admin.copies"],
  async run({ params: { assetId }, body, asker }, deps) {
    const { admin, ...origin } = asker;
    const done = await changeContainment(admin, { assetId, action: "release", ...body, ...origin }, deps);
    return answerChange(asker, assetId, done, deps);
  },
});

const revoke = operation({
  ...changing,
  id: "revokeAsset",
  method: "post",
  path: "/assets/{assetId}/revoke",
  summary: "Revoke a device for good",
  description:
    "Every edge node refuses its heartbeats within two seconds, and it gets no session any more. There is no way back: a host that returns enrols as a new asset.",
  needs: "manage-assets",
  body: justified,
  success: 200,
  async run({ params: { assetId }, body, asker }, deps) {
    return answerChange(asker, assetId, await revokeAsset(asker, { assetId, ...body }, deps), deps);
  },
});

const expire = operation({
  ...changing,
  id: "expireAsset",
  method: "post",
  path: "/assets/{assetId}/expire",
  summary: "Take an asset off the active list until its next heartbeat",
  description: "Nothing is deleted, and its open incidents stay open. Refused for a contained asset.",
  needs: "manage-assets",
  body: justified,
  success: 200,
  async run({ params: { assetId }, body, asker }, deps) {
    return answerChange(asker, assetId, await expireAsset(asker, { assetId, ...body }, deps), deps);
  },
});

const merge = operation({
  ...changing,
  id: "mergeAsset",
  method: "post",
  path: "/assets/{assetId}/merge",
  summary: "Merge an asset into the one that took its place",
  description:
    "For a host that was re-imaged or replaced and enrolled again. This asset is revoked for good and names the other in `supersededBy`, the other names it in `supersedes`, and its open incidents are closed. Refused for a contained asset, for one that reported within 10 minutes unless `evenIfActive`, and into an asset that is revoked or was merged itself.",
  needs: "manage-assets",
  body: z.strictObject({
    into: assetId.meta({ description: "The asset that takes its place." }),
    justification,
    evenIfActive: z.boolean().default(false).meta({
      description: "Merge even if it reported within the last 10 minutes.",
    }),
  }),
  success: 200,
  async run({ params, body, asker }, deps) {
    const done = await mergeAssets(asker, { assetId: params.assetId, ...body }, deps);
    return answerChange(asker, params.assetId, done, deps);
  },
});

const many = {
  method: "post",
  tag,
  needs: "manage-assets",
  success: 200,
  answer: retiredView,
} as const;
const manyBody = z.strictObject({
  assetIds: z.array(assetId).min(1).max(BULK_ASSETS_MAX),
  justification,
  silentHours: z.int().min(1).max(SILENT_HOURS_MAX).optional().meta({
    description:
      "Skip assets that reported within this many hours: they may have returned since you listed them.",
  }),
});
const MANY_DESCRIPTION =
  "All in one transaction, with a custody record for each. Assets that cannot be changed are listed in `skipped` with the reason. A repeated request lists what was done before there and changes nothing.";

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
  summary: "Revoke several devices for good",
  description: MANY_DESCRIPTION,
  body: manyBody.extend({
    evenIfContained: z.boolean().default(false).meta({
      description: "Contained assets too: from then on only a release code frees them.",
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
  tag,
  summary: "Let a device enrol with a new key as the same asset",
  description:
    "Makes an enrolment token of one use that is good for this asset only. Until the device comes with it the old key stays good. For a key that was stolen, revoke instead.",
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

const listIsolations = operation({
  id: "listIsolations",
  method: "get",
  path: "/isolations",
  tag: "Isolations",
  summary: "List open isolations and releases with their proof, newest first",
  description: "An asset is here from the moment its isolation is wished until its release is proven.",
  needs: "read",
  query: page,
  success: 200,
  answer: pageOf(assetView),
  async run({ admin, query }, deps) {
    const found = await listActionRequired(deps, admin.tenantId, pageFrom(query));
    // A revoked asset is in the same index, with or without anything wished of it.
    const items = found.items.filter(({ containment }) => containment.requestedAt !== undefined);
    return { ok: true, value: { body: { ...found, items } } };
  },
});

const createReleaseCode = operation({
  id: "createReleaseCode",
  method: "post",
  path: "/assets/{assetId}/release-code",
  tag,
  summary: "Make a one-time code that frees a stranded host without a connection",
  description:
    "Given to `lz-agent release --code` at the host. Good for this asset, the present generation and the given hours. A repeat of the request gets no code: it is nowhere kept.",
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

export const assetOperations = [
  createReleaseCode,
  listAssets,
  getAsset,
  listAssetTimeline,
  listAssetIncidents,
  listAssetCustody,
  isolateAsset,
  releaseAsset,
  revoke,
  expire,
  merge,
  revokeMany,
  expireMany,
  rotateKey,
  listIsolations,
];
