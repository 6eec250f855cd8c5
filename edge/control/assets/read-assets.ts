import type { CheckedAsset } from "../../../shared/authority/check-reports.ts";
import type { AttributeMap } from "../../../shared/table/dynamo.ts";
import { assetItem } from "../../../shared/table/items/asset/asset.ts";
import { type PresenceItem, presenceItem } from "../../../shared/table/items/asset/presence.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import {
  ASSET_PREFIX,
  actionRequired,
  assetKey,
  employeeAssets,
  GSI1,
  GSI2,
  presenceKey,
  tenantKey,
} from "../../../shared/table/keys.ts";
import { readExpiryDays } from "../../../shared/tenant/read-expiry-days.ts";
import { BATCH_GET_MAX, batchGet } from "../batch-get.ts";
import { fillPage } from "../fill-page.ts";
import { getItem, type Page, type Query, queryPage, type Reader } from "../table-query.ts";
import { type AssetView, viewOf } from "./asset-view.ts";
import { checkAssets } from "./check-assets.ts";
import { enrolledAgainAs } from "./enrolled-again.ts";

/** Reads the presences of these assets into a map by asset id. The reads are eventually consistent. */
export async function readPresences(reader: Reader, tenantId: string, assetIds: readonly string[]) {
  const found = new Map<string, PresenceItem>();
  for (let i = 0; i < assetIds.length; i += BATCH_GET_MAX) {
    const keys = assetIds.slice(i, i + BATCH_GET_MAX).map((id) => presenceKey(tenantId, id));
    for (const stored of await batchGet(reader, keys)) {
      const presence = decodeItem(presenceItem, stored);
      found.set(presence.assetId, presence);
    }
  }
  return found;
}

/** Reads these assets into a map by asset id. Reports that the device did not sign are removed. */
export async function readAssetItems(reader: Reader, tenantId: string, assetIds: readonly string[]) {
  const found = new Map<string, CheckedAsset>();
  for (let i = 0; i < assetIds.length; i += BATCH_GET_MAX) {
    const keys = assetIds.slice(i, i + BATCH_GET_MAX).map((id) => assetKey(tenantId, id));
    const assets = (await batchGet(reader, keys)).map((stored) => decodeItem(assetItem, stored));
    for (const asset of await checkAssets(reader, tenantId, assets)) found.set(asset.assetId, asset);
  }
  return found;
}

async function withPresence(
  reader: Reader,
  tenantId: string,
  page: Page<AttributeMap>,
): Promise<Page<AssetView>> {
  const listed = page.items.map((stored) => decodeItem(assetItem, stored));
  const ids = listed.map(({ assetId }) => assetId);
  const [assets, presences, expiryDays] = await Promise.all([
    checkAssets(reader, tenantId, listed),
    readPresences(reader, tenantId, ids),
    readExpiryDays(reader, tenantId),
  ]);
  const now = reader.clock();
  const items = assets.map((asset) => viewOf(asset, presences.get(asset.assetId), now, expiryDays));
  return page.cursor === undefined ? { items } : { items, cursor: page.cursor };
}

/**
 * Filter for a list of assets: assets on the active list, expired assets (no longer on the active list), or
 * all assets.
 */
export const LIFECYCLES = ["active", "expired", "all"] as const;
export type Lifecycle = (typeof LIFECYCLES)[number];

/**
 * A page of assets. `expiredLeftOut` is the number of matching assets that are left out because they are
 * expired. Absent if no asset was left out.
 */
export type AssetPage = Page<AssetView> & { expiredLeftOut?: number };

/**
 * Lists assets in order of enrolment. If only one lifecycle is requested, a page can be short or empty and
 * still have a cursor.
 */
export async function listAssets(
  reader: Reader,
  tenantId: string,
  { lifecycle = "all", ...page }: { limit: number; from?: string; lifecycle?: Lifecycle | undefined },
): Promise<AssetPage> {
  const { PK } = tenantKey(tenantId);
  const scope = lifecycle === "all" ? {} : { scope: lifecycle };
  const query: Query = { partition: PK, prefix: ASSET_PREFIX, ...scope };
  if (lifecycle === "all")
    return withPresence(reader, tenantId, await queryPage(reader, { ...query, ...page }));
  const filled = await fillPage(
    page,
    async (part) => withPresence(reader, tenantId, await queryPage(reader, { ...query, ...part })),
    (views) => views.filter((view) => view.lifecycle.state === lifecycle),
  );
  return withLeftOut(filled, lifecycle);
}

/** Adds `expiredLeftOut` to a page of active assets. */
export function withLeftOut<T>(
  { leftOut, ...page }: Page<T> & { leftOut: number },
  lifecycle: Lifecycle,
): Page<T> & { expiredLeftOut?: number } {
  return lifecycle === "active" && leftOut > 0 ? { ...page, expiredLeftOut: leftOut } : page;
}

/** Lists the assets of an employee. */
export async function listEmployeeAssets(
  reader: Reader,
  tenantId: string,
  employeeId: string,
  page: { limit: number; from?: string },
): Promise<Page<AssetView>> {
  const partition = employeeAssets(tenantId, employeeId);
  return withPresence(reader, tenantId, await queryPage(reader, { index: GSI1, partition, ...page }));
}

/**
 * Reads one asset. Returns undefined if the tenant has no asset with this id.
 *
 * @param knownExpiryDays setting `assetExpiryDays`, if the caller has read it already
 */
export async function readAsset(
  reader: Reader,
  tenantId: string,
  assetId: string,
  knownExpiryDays?: number,
): Promise<AssetView | undefined> {
  const [asset, presence, expiryDays] = await Promise.all([
    getItem(reader, assetKey(tenantId, assetId)),
    getItem(reader, presenceKey(tenantId, assetId)),
    knownExpiryDays ?? readExpiryDays(reader, tenantId),
  ]);
  if (!asset) return undefined;
  const [checked] = await checkAssets(reader, tenantId, [decodeItem(assetItem, asset)]);
  const decoded = presence && decodeItem(presenceItem, presence);
  const again = await enrolledAgainAs(checked!, decoded?.lastSeenAt, (key) => getItem(reader, key));
  const view = viewOf(checked!, decoded, reader.clock(), expiryDays);
  return again === undefined ? view : { ...view, enrolledAgainAs: again };
}

/**
 * Lists assets with a pending action, newest first. A revoked asset always has a pending action. Other assets
 * have one from their isolation until their release is proven.
 */
export async function listActionRequired(
  reader: Reader,
  tenantId: string,
  page: { limit: number; from?: string },
): Promise<Page<AssetView>> {
  const partition = actionRequired(tenantId);
  const found = await queryPage(reader, { index: GSI2, partition, newestFirst: true, ...page });
  return withPresence(reader, tenantId, found);
}

/** Reads these assets in the given order. Skips ids that the tenant does not have. */
export async function readAssets(
  reader: Reader,
  tenantId: string,
  assetIds: readonly string[],
): Promise<AssetView[]> {
  if (assetIds.length === 0) return [];
  const expiryDays = await readExpiryDays(reader, tenantId);
  const views = await Promise.all(assetIds.map((id) => readAsset(reader, tenantId, id, expiryDays)));
  return views.filter((view) => view !== undefined);
}
