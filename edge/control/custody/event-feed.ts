import { checkEvents } from "../../../shared/authority/check-events.ts";
import { type OcsfEvent, ocsfOf } from "../../../shared/export/ocsf.ts";
import { type AttributeMap, marshalItem, unmarshalItem, values } from "../../../shared/table/dynamo.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { eventItem } from "../../../shared/table/items/event.ts";
import { EVENT_PREFIX, eventsPartition } from "../../../shared/table/keys.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { CursorFault, openCursor, type Scope, sealCursor } from "../cursor.ts";
import type { ControlDeps } from "../deps.ts";
import type { Reader } from "../table-query.ts";

/**
 * The feed excludes events that are newer than this number of milliseconds. The timestamp of an event is the
 * start time of its transaction, and every transaction ends within less than this time. Therefore no event
 * can later appear before a cursor that was already returned.
 */
export const BEHIND_MS = 10_000;

export type OcsfPage = { items: OcsfEvent[]; cursor: string; isCaughtUp: boolean };

const scopeOf = (tenantId: string): Scope => ["ocsf", tenantId];

/**
 * Reads events as OCSF in the order in which they were recorded, starting at a cursor or a time. Every page
 * has a cursor, even at the end of the feed. A client that continues with it receives every event exactly
 * once.
 *
 * @throws CursorFault if the cursor belongs to another tenant or list, or was modified
 */
export async function readOcsf(
  reader: Reader & Pick<ControlDeps, "log">,
  tenantId: string,
  { limit, cursor, since }: { limit: number; cursor?: string | undefined; since?: string | undefined },
): Promise<OcsfPage> {
  const { cursorKeys } = reader.admin;
  const scope = scopeOf(tenantId);
  const start =
    cursor === undefined ? `${EVENT_PREFIX}${since ?? ""}` : await positionOf(reader, scope, cursor);
  const until = `${EVENT_PREFIX}${timestamp(reader.clock() - BEHIND_MS)}`;
  const found = start < until ? await query(reader, tenantId, { start, until, limit }) : NOTHING;
  const events = found.stored.map((item) => decodeItem(eventItem, item));
  const items = (await checkEvents(reader, tenantId, events)).flatMap((event) => ocsfOf(event) ?? []);
  const last = found.stored.at(-1)?.SK?.S;
  const position = last === undefined ? start : after(last);
  return {
    items,
    cursor: await sealCursor(cursorKeys, scope, marshalItem({ position })),
    isCaughtUp: !found.hasMore,
  };
}

/**
 * Lower end of a range that starts after this key. Ids contain no space, and every character of an id sorts
 * after the space.
 */
const after = (key: string): string => `${key} `;

async function positionOf(reader: Reader, scope: Scope, cursor: string): Promise<string> {
  const { position } = unmarshalItem(await openCursor(reader.admin.cursorKeys, scope, cursor));
  if (typeof position !== "string") throw new CursorFault();
  return position;
}

const NOTHING: Found = { stored: [], hasMore: false };
type Found = { stored: AttributeMap[]; hasMore: boolean };

const query = (
  { dynamo, table }: Reader,
  tenantId: string,
  { start, until, limit }: { start: string; until: string; limit: number },
): Promise<Found> =>
  dynamo("Query", {
    TableName: table,
    ConsistentRead: true,
    KeyConditionExpression: "PK = :pk AND SK BETWEEN :from AND :to",
    ExpressionAttributeValues: values({ pk: eventsPartition(tenantId), from: start, to: until }),
    Limit: limit,
  }).then(({ Items = [], LastEvaluatedKey }) => ({ stored: Items, hasMore: LastEvaluatedKey !== undefined }));
