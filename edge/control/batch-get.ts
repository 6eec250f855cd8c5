import { type AttributeMap, marshalItem } from "../../shared/table/dynamo.ts";
import type { Deps } from "../deps.ts";
import { UpstreamFault } from "../platform/aws-client.ts";

/** Keys per BatchGetItem call (limit of DynamoDB). */
export const BATCH_GET_MAX = 100;
/** Calls for one batch. A busy table leaves keys unread, and more calls would only add load. */
const ROUNDS_MAX = 8;

/**
 * Reads the items with these keys, at most {@link BATCH_GET_MAX}. Returns them in no particular order, without those that
 * do not exist. Rejects with UpstreamFault if keys are still unread after {@link ROUNDS_MAX} calls.
 */
export async function batchGet(
  { dynamo, table }: Pick<Deps, "dynamo" | "table">,
  keys: readonly object[],
): Promise<AttributeMap[]> {
  const found: AttributeMap[] = [];
  let unread: AttributeMap[] = keys.map(marshalItem);
  for (let round = 0; unread.length > 0; round++) {
    if (round === ROUNDS_MAX) throw new UpstreamFault(`DynamoDB left ${unread.length} items unread`);
    const answer = await dynamo("BatchGetItem", { RequestItems: { [table]: { Keys: unread } } });
    found.push(...(answer.Responses?.[table] ?? []));
    unread = (answer.UnprocessedKeys?.[table]?.Keys ?? []) as AttributeMap[];
  }
  return found;
}
