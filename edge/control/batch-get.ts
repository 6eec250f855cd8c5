import { type AttributeMap, marshalItem } from "../../shared/table/dynamo.ts";
import { UpstreamFault } from "../platform/aws-client.ts";
import type { ControlDeps } from "./deps.ts";

/** Maximum number of keys per BatchGetItem call (DynamoDB limit). */
export const BATCH_GET_MAX = 100;
/**
 * Maximum number of calls per batch. A busy table leaves some keys unread, and more calls would only increase
 * its load.
 */
const ROUNDS_MAX = 8;

/**
 * Reads the items with these keys, at most {@link BATCH_GET_MAX}. Returns the existing items in no particular
 * order. Rejects with UpstreamFault if keys are still unread after {@link ROUNDS_MAX} calls.
 */
export async function batchGet(
  { dynamo, table }: Pick<ControlDeps, "dynamo" | "table">,
  keys: readonly object[],
): Promise<AttributeMap[]> {
  const found: AttributeMap[] = [];
  let unread: AttributeMap[] = keys.map(marshalItem);
  for (let round = 0; unread.length > 0; round++) {
    if (round === ROUNDS_MAX)
      throw new UpstreamFault(`DynamoDB did not return ${unread.length} items: the table is busy`);
    const answer = await dynamo("BatchGetItem", { RequestItems: { [table]: { Keys: unread } } });
    found.push(...(answer.Responses?.[table] ?? []));
    unread = (answer.UnprocessedKeys?.[table]?.Keys ?? []) as AttributeMap[];
  }
  return found;
}
