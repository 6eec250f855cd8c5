import { marshalItem } from "../../shared/table/dynamo.ts";
import { type AssetItem, assetItem } from "../../shared/table/items/asset.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import { assetKey } from "../../shared/table/keys.ts";
import type { Deps } from "../deps.ts";

/** The asset as it is now, for a change that depends on it; undefined when the tenant has none of that id. */
export async function readAssetItem(
  deps: Pick<Deps, "dynamo" | "table">,
  tenantId: string,
  assetId: string,
): Promise<AssetItem | undefined> {
  const { Item } = await deps.dynamo("GetItem", {
    TableName: deps.table,
    Key: marshalItem(assetKey(tenantId, assetId)),
    ConsistentRead: true,
  });
  return Item && decodeItem(assetItem, Item);
}
