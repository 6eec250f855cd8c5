import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { importJWK } from "jose";
import { signTable } from "../shared/authority/sign-table.ts";
import { createVerifier } from "../shared/authority/verify-authority.ts";
import { marshalItem } from "../shared/table/dynamo.ts";
import { custodyHeadItem } from "../shared/table/items/custody.ts";
import { decodeItem } from "../shared/table/items/decode.ts";
import { custodyHeadKey, TABLE_NAME } from "../shared/table/keys.ts";
import { sdkDynamo } from "../shared/table/sdk-dynamo.ts";
import { publicJwk, type Secrets } from "./secrets.ts";

/**
 * Signs the items of a tenant that grant rights or contain decisions and have no valid signature. Uses the
 * local control key.
 */
export async function signLocalTable(
  client: DynamoDBClient,
  { controlKey }: Secrets,
  tenantId: string,
  table = TABLE_NAME,
) {
  const dynamo = sdkDynamo(client);
  const Key = marshalItem(custodyHeadKey(tenantId));
  const { Item } = await dynamo("GetItem", { TableName: table, Key, ConsistentRead: true });
  const version = Item ? decodeItem(custodyHeadItem, Item).count : 0;
  const control = { kid: String(controlKey.kid), key: (await importJWK(controlKey, "EdDSA")) as CryptoKey };
  const verifier = createVerifier({ keys: [publicJwk(controlKey) as never] });
  await signTable({ dynamo, table }, { tenantId, version, nowMs: Date.now(), control, verifier });
}
