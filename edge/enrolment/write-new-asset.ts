import { assetIdOf } from "../../shared/authority/asset-id.ts";
import { signNewDevice } from "../../shared/authority/sign-authority.ts";
import { marshalItem, values } from "../../shared/table/dynamo.ts";
import type { AssetItem } from "../../shared/table/items/asset/asset.ts";
import {
  ASSETS_PER_HARDWARE_MAX,
  type HardwareItem,
  hardwareItem,
} from "../../shared/table/items/asset/hardware.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import type { EmployeeItem } from "../../shared/table/items/employee.ts";
import type { EnrolmentItem } from "../../shared/table/items/enrolment.ts";
import { assetKey, assetState, employeeAssets, employeeKey, hardwareKey } from "../../shared/table/keys.ts";
import { timestamp } from "../../shared/time/clock.ts";
import type { EnrolmentRequest } from "../../shared/wire/enrolment.ts";
import type { EnrolmentDeps } from "./deps.ts";
import { type Claims, tokenUse } from "./token-use.ts";

/**
 * Writes a new asset in one transaction, together with its signed record, its employee, its mainboard and the
 * token use. Returns the asset id, which is derived from the device key.
 *
 * @throws DynamoFault `TransactionCanceledException` on an optimistic-lock conflict
 */
export async function writeNewAsset(
  claims: Claims,
  body: EnrolmentRequest,
  token: EnrolmentItem | undefined,
  deps: EnrolmentDeps,
): Promise<string> {
  const now = deps.clock();
  const { tenant: tenantId } = claims;
  const assetId = await assetIdOf(tenantId, body.deviceKey, now);
  const known = await readHardwareItem(body, tenantId, deps);
  const asset: AssetItem = {
    type: "Asset",
    tenantId,
    assetId,
    employeeId: body.employeeId,
    hostname: body.host.hostname,
    os: body.host.os,
    arch: body.host.arch,
    deviceKey: body.deviceKey,
    enrolledAt: timestamp(now),
    status: "ACTIVE",
    generation: 0,
    custodyCount: 0,
    enrolledWith: claims.jti,
    ...(body.hardware && { hardware: body.hardware }),
    ...(known && { enrolledBefore: known.assets }),
  };
  const index = { GSI1PK: employeeAssets(tenantId, body.employeeId), GSI1SK: assetState("ACTIVE") };
  const Item = marshalItem({ ...assetKey(tenantId, assetId), ...index, ...asset });
  const signer = deps.enrolKey ?? deps.controlKey;
  if (!signer) throw new Error("this node has neither an enrol key nor a control key");
  const record = await signNewDevice(signer, tenantId, Item);
  await deps.dynamo("TransactWriteItems", {
    TransactItems: [
      ...tokenUse(claims, body, assetId, token, deps.table),
      { Put: { TableName: deps.table, Item, ConditionExpression: "attribute_not_exists(PK)" } },
      { Put: { TableName: deps.table, Item: marshalItem(record) } },
      ...hardwareWrites(body, asset, known, deps.table),
      { Update: employeeUpdate(tenantId, body.employeeId, timestamp(now), deps.table) },
    ],
  });
  return assetId;
}

/** Creates the employee if it does not exist yet. `since` does not change for an existing employee. */
function employeeUpdate(tenantId: string, employeeId: string, since: string, table: string) {
  const employee: EmployeeItem = { type: "Employee", tenantId, employeeId, since };
  return {
    TableName: table,
    Key: marshalItem(employeeKey(tenantId, employeeId)),
    UpdateExpression:
      "SET #type = :type, tenantId = :tenantId, employeeId = :employeeId, #since = if_not_exists(#since, :since)",
    ExpressionAttributeNames: { "#type": "type", "#since": "since" },
    ExpressionAttributeValues: values(employee),
  };
}

/**
 * Reads the list of assets that enrolled from the same mainboard. Returns undefined if the hardware
 * fingerprint does not identify a mainboard.
 */
async function readHardwareItem(
  { hardware }: EnrolmentRequest,
  tenantId: string,
  { dynamo, table }: Pick<EnrolmentDeps, "dynamo" | "table">,
): Promise<HardwareItem | undefined> {
  if (hardware?.strength !== "board") return undefined;
  const Key = marshalItem(hardwareKey(tenantId, hardware.id));
  const { Item } = await dynamo("GetItem", { TableName: table, Key, ConsistentRead: true });
  return Item && decodeItem(hardwareItem, Item);
}

/**
 * Adds the asset to the list of assets for its mainboard. The condition fails if the list has changed since
 * it was read.
 */
function hardwareWrites(
  { hardware }: EnrolmentRequest,
  { tenantId, assetId }: AssetItem,
  known: HardwareItem | undefined,
  table: string,
) {
  if (hardware?.strength !== "board") return [];
  const item: HardwareItem = {
    type: "Hardware",
    tenantId,
    assets: [assetId, ...(known?.assets ?? [])].slice(0, ASSETS_PER_HARDWARE_MAX),
    enrolments: (known?.enrolments ?? 0) + 1,
  };
  const Put = {
    TableName: table,
    Item: marshalItem({ ...hardwareKey(tenantId, hardware.id), ...item }),
    ConditionExpression: known ? "enrolments = :before" : "attribute_not_exists(PK)",
    ...(known && { ExpressionAttributeValues: values({ before: known.enrolments }) }),
  };
  return [{ Put }];
}
