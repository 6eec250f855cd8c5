import type { z } from "zod";
import type { Authority } from "../authority/read-authority.ts";
import { readCheckedAssets } from "../authority/read-checked-assets.ts";
import { type AttributeMap, type Dynamo, values } from "../table/dynamo.ts";
import { assetItem } from "../table/items/asset/asset.ts";
import { inventoryItem } from "../table/items/asset/inventory.ts";
import { presenceItem } from "../table/items/asset/presence.ts";
import { decodeItem } from "../table/items/decode.ts";
import { ASSET_PREFIX, INVENTORY_PREFIX, PRESENCE_PREFIX, tenantKey } from "../table/keys.ts";
import type { Clock } from "../time/clock.ts";
import { type ExpiringAsset, type Expiry, expiryOf, isTakenOff } from "./expiry.ts";

type Reader = { dynamo: Dynamo; table: string };

const SHOWN = { assetId: true, hostname: true, employeeId: true, os: true, status: true } as const;
const fleetAsset = assetItem.pick(SHOWN);
/** Fields for the list, and fields that determine whether the host is on the active list. */
const storedAsset = assetItem.pick({
  ...SHOWN,
  ...{ enrolledAt: true, revokedAt: true, expiredAt: true, supersededBy: true },
  ...{ generation: true, wish: true, proof: true, setBack: true, unsignedReport: true },
});
const fleetPresence = presenceItem.pick({
  assetId: true,
  lastSeenAt: true,
  intervalMs: true,
  risk: true,
  engines: true,
  models: true,
  clients: true,
  agentVersion: true,
  failedCollectors: true,
});
const fleetHolding = inventoryItem.pick({ assetId: true, models: true, modelsLeft: true, clients: true });

/** An asset, with the fields that the fleet's counts and filters need. */
export type FleetRow = z.infer<typeof fleetAsset> & { presence?: z.infer<typeof fleetPresence> };
/** An asset that is not on the active list. */
export type ExpiredRow = FleetRow & { expiry: Expiry };
/** Inventory of one asset: its models with their metadata, and the clients of its engines. */
export type FleetHolding = z.infer<typeof fleetHolding>;

/** Maximum number of assets that are read for a fleet. The counts of a larger fleet are marked as incomplete. */
const FLEET_ASSETS_MAX = 100_000;

/**
 * Reads all assets of the tenant with their presences, up to {@link FLEET_ASSETS_MAX}, ordered by id (order
 * of enrolment). Assets that left the active list are returned separately.
 *
 * @param expiryDays setting `assetExpiryDays` of the tenant, which is read concurrently
 */
export async function readFleet(
  reader: Reader & { clock: Clock; authority: Pick<Authority, "readMany" | "checkReports"> },
  tenantId: string,
  expiryDays: Promise<number>,
): Promise<{ rows: FleetRow[]; expired: ExpiredRow[]; complete: boolean }> {
  const [assets, presences, days] = await Promise.all([
    readFields(reader, tenantId, ASSET_PREFIX, storedAsset),
    readFields(reader, tenantId, PRESENCE_PREFIX, fleetPresence),
    expiryDays,
  ]);
  const nowMs = reader.clock();
  const byId = new Map(presences.found.map((presence) => [presence.assetId, presence]));
  const rows: FleetRow[] = [];
  const expired: ExpiredRow[] = [];
  const isOut = (asset: ExpiringAsset & { assetId: string }) =>
    expiryOf(asset, byId.get(asset.assetId), days, nowMs) !== undefined;
  // A proof or an administrator's decision that removes a host from the list must be signed. Silent hosts
  // need no signature.
  const claiming = assets.found.filter(
    (asset) => isOut(asset) && ((asset.wish && asset.proof) || isTakenOff(asset)),
  );
  const ids = claiming.map(({ assetId }) => assetId);
  const checked = await readCheckedAssets(reader.authority, tenantId, ids);
  const isForged = new Set(ids.filter((id) => !checked.has(id) || !isOut(checked.get(id)!)));
  for (const asset of assets.found) {
    const { assetId, hostname, employeeId, os, status } = asset;
    const presence = byId.get(assetId);
    const row = { assetId, hostname, employeeId, os, status, ...(presence && { presence }) };
    const expiry = isForged.has(assetId) ? undefined : expiryOf(asset, presence, days, nowMs);
    if (expiry) expired.push({ ...row, expiry });
    else rows.push(row);
  }
  return { rows, expired, complete: assets.complete && presences.complete };
}

/** Reads the inventories of all assets, up to {@link FLEET_ASSETS_MAX}. */
export async function readHoldings(
  reader: Reader,
  tenantId: string,
): Promise<{ holdings: FleetHolding[]; complete: boolean }> {
  const { found, complete } = await readFields(reader, tenantId, INVENTORY_PREFIX, fleetHolding);
  return { holdings: found, complete };
}

/** Reads only the given fields of all items with a prefix, which is about a tenth of the data. */
async function readFields<Shape extends z.ZodRawShape>(
  reader: Reader,
  tenantId: string,
  prefix: string,
  schema: z.ZodObject<Shape>,
): Promise<{ found: z.infer<z.ZodObject<Shape>>[]; complete: boolean }> {
  const names = Object.keys(schema.shape);
  const found: z.infer<z.ZodObject<Shape>>[] = [];
  let from: AttributeMap | undefined;
  do {
    const page = await reader.dynamo("Query", {
      TableName: reader.table,
      KeyConditionExpression: "PK = :pk AND begins_with(SK, :prefix)",
      ExpressionAttributeValues: values({ pk: tenantKey(tenantId).PK, prefix }),
      ProjectionExpression: ["PK", "SK", ...names.map((name) => `#${name}`)].join(", "),
      ExpressionAttributeNames: Object.fromEntries(names.map((name) => [`#${name}`, name])),
      ...(from && { ExclusiveStartKey: from }),
    });
    for (const stored of page.Items ?? []) found.push(decodeItem(schema, stored));
    from = page.LastEvaluatedKey;
  } while (from && found.length < FLEET_ASSETS_MAX);
  return { found, complete: from === undefined };
}
