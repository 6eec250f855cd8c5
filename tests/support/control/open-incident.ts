import { PutItemCommand } from "@aws-sdk/client-dynamodb";
import { embeddedClient } from "../../../local/table.ts";
import { marshalItem } from "../../../shared/table/dynamo.ts";
import type { IncidentItem } from "../../../shared/table/items/incident.ts";
import {
  alerts,
  incidentId,
  incidentKey,
  indexSort,
  SHARDS_DEFAULT,
  TABLE_NAME,
} from "../../../shared/table/keys.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import type { TestStack } from "../stack.ts";

/** Stores an open incident as the worker would store it. Returns the id of the incident. */
export async function openIncident(
  stack: Pick<TestStack, "dynamodbEndpoint">,
  asset: { tenantId: string; assetId: string },
  more: Partial<IncidentItem> = {},
): Promise<string> {
  const { tenantId, assetId } = asset;
  const openedAt = timestamp(Date.now());
  const item: IncidentItem = {
    type: "Incident",
    tenantId,
    assetId,
    rule: "exposed-engine",
    engine: "ollama",
    engineName: "Ollama",
    status: "OPEN",
    risk: "CRITICAL",
    points: 70,
    explanation: "Ollama answers on 0.0.0.0:11434 without a credential",
    hostname: "host-1",
    openedAt,
    lastSeenAt: openedAt,
    ...more,
  };
  const index = { GSI2PK: alerts(tenantId, item.risk), GSI2SK: indexSort(item.openedAt, assetId) };
  const client = embeddedClient(stack.dynamodbEndpoint);
  const Item = marshalItem({ ...incidentKey(tenantId, item, SHARDS_DEFAULT), ...index, ...item });
  await client.send(new PutItemCommand({ TableName: TABLE_NAME, Item }));
  client.destroy();
  return incidentId(item);
}
