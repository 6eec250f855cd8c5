import { type AttributeMap, marshalItem } from "../../shared/table/dynamo.ts";
import type { Deps } from "../deps.ts";
import { UpstreamFault } from "../platform/aws-client.ts";

/** BatchGetItem takes 100 keys a call. */
export const BATCH_GET_MAX = 100;
/** A table that leaves keys unread is too busy: each further question makes it no better. */
const ROUNDS_MAX = 8;

/**
 * Those items of these keys that are there, in no order; at most {@link BATCH_GET_MAX} keys. Rejects with UpstreamFault
 * when the table has left some unread as often as it may.
 */
export async function batchGet(
  { dynamo, table }: Pick<Deps, "dynamo" | "table">,
  keys: readonly object[],
): Promise<AttributeMap[]> {
  const found: AttributeMap[] = [];
  let unread: AttributeMap[] = keys.map(marshalItem);
  for (let round = 0; unread.length > 0; round++) {
    if (round === ROUNDS_MAX) throw new UpstreamFault(`${unread.length} items were not read`);
    const answer = await dynamo("BatchGetItem", { RequestItems: { [table]: { Keys: unread } } });
    found.push(...(answer.Responses?.[table] ?? []));
    unread = (answer.UnprocessedKeys?.[table]?.Keys ?? []) as AttributeMap[];
  }
  return found;
}
