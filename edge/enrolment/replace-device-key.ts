import { type AttributeMap, marshalItem, values } from "../../shared/table/dynamo.ts";
import { assetItem } from "../../shared/table/items/asset/asset.ts";
import { custodyHeadItem } from "../../shared/table/items/custody.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import type { EnrolmentItem } from "../../shared/table/items/enrolment.ts";
import { assetKey, custodyHeadKey } from "../../shared/table/keys.ts";
import { timestamp } from "../../shared/time/clock.ts";
import type { EnrolmentRequest } from "../../shared/wire/enrolment.ts";
import { signGrants } from "../control/custody/sign-grants.ts";
import type { EnrolmentDeps } from "./deps.ts";
import { type Claims, tokenUse } from "./token-use.ts";

/**
 * Replaces the device key of the asset that the token names. Afterwards, no new sessions can be opened with
 * the old key. Needs the control key, because the enrol key can only sign records of new devices.
 *
 * @returns false if the asset does not exist or was revoked ⏎ @throws DynamoFault
 * `TransactionCanceledException` on an optimistic-lock conflict
 */
export async function replaceDeviceKey(
  assetId: string,
  claims: Claims,
  body: EnrolmentRequest,
  token: EnrolmentItem | undefined,
  deps: EnrolmentDeps,
): Promise<boolean> {
  const { tenant: tenantId, jti } = claims;
  const key = assetKey(tenantId, assetId);
  const stored = await deps.authority.read(key);
  if (!stored || decodeItem(assetItem, stored).revokedAt !== undefined) return false;
  const set = { deviceKey: body.deviceKey, keyRotatedAt: timestamp(deps.clock()) };
  const grant = { key, after: (before: AttributeMap = {}) => ({ ...before, ...marshalItem(set) }) };
  const custody = await deps.dynamo("GetItem", {
    TableName: deps.table,
    Key: marshalItem(custodyHeadKey(tenantId)),
    ConsistentRead: true,
  });
  const version = custody.Item ? decodeItem(custodyHeadItem, custody.Item).count : 0;
  await deps.dynamo("TransactWriteItems", {
    TransactItems: [
      ...tokenUse(claims, body, assetId, token, deps.table),
      ...(await signGrants(
        [grant],
        { tenantId, version, control: deps.controlKey!, nowMs: deps.clock() },
        deps,
      )),
      {
        Update: {
          TableName: deps.table,
          Key: marshalItem(key),
          UpdateExpression: "SET deviceKey = :deviceKey, keyRotatedAt = :now",
          ConditionExpression:
            "deviceKey = :before AND generation = :generation AND attribute_not_exists(revokedAt)",
          ExpressionAttributeValues: values({
            deviceKey: set.deviceKey,
            now: set.keyRotatedAt,
            before: stored.deviceKey!.S!,
            generation: Number(stored.generation!.N),
          }),
        },
      },
    ],
  });
  deps.log("info", "asset.key-rotated", { tenantId, assetId, jti });
  return true;
}
