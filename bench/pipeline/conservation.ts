import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { QueryCommand } from "@aws-sdk/client-dynamodb";
import { embeddedClient } from "../../local/table.ts";
import { unmarshalItem, values } from "../../shared/table/dynamo.ts";
import { tenantDefaults } from "../../shared/table/items/tenant.ts";
import { PRESENCE_PREFIX, TABLE_NAME, tenantKey } from "../../shared/table/keys.ts";
import { TENANT, WITNESS } from "./stages.ts";

type Queried = { assetId: string; at: string; kind?: string; lastSeenAt?: string };

async function* query(endpoint: string, partition: string, prefix: string): AsyncGenerator<Queried> {
  const client = embeddedClient(endpoint);
  let from: Record<string, never> | undefined;
  do {
    const page = await client.send(
      new QueryCommand({
        TableName: TABLE_NAME,
        KeyConditionExpression: "PK = :pk AND begins_with(SK, :prefix)",
        ExpressionAttributeValues: values({ pk: partition, prefix }),
        ProjectionExpression: "assetId, #at, kind, lastSeenAt",
        ExpressionAttributeNames: { "#at": "at" },
        ...(from && { ExclusiveStartKey: from }),
      }),
    );
    for (const item of page.Items ?? []) yield unmarshalItem(item) as Queried;
    from = page.LastEvaluatedKey as typeof from;
  } while (from);
  client.destroy();
}

type Journal = {
  /** The items that the table must contain, by tenant. Each item is written as `asset time`. */
  expected: Record<string, Set<string>>;
  /** Heartbeats that were sent but not accepted. The table may contain their items. */
  uncertain: Set<string>;
  /** Time of the newest accepted heartbeat of each asset. */
  newest: Map<string, string>;
};

/** Reads the generator's journal, which has one line for each sent heartbeat. */
async function readJournal(path: string): Promise<Journal> {
  const expected: Journal["expected"] = { [TENANT]: new Set(), [WITNESS]: new Set() };
  const uncertain = new Set<string>();
  const newest = new Map<string, string>();
  for await (const line of createInterface({ input: createReadStream(path) })) {
    const { tenantId, assetId, at, change, accepted } = JSON.parse(line);
    const name = `${assetId} ${at}`;
    if (!accepted) uncertain.add(name);
    else if (tenantId === WITNESS || change) expected[tenantId]!.add(name);
    if (accepted && (newest.get(assetId) ?? "") < at) newest.set(assetId, at);
  }
  return { expected, uncertain, newest };
}

type Proof = { missing: number; extra: number; expected: number };

async function compareTelemetry(endpoint: string, tenantId: string, journal: Journal): Promise<Proof> {
  const expected = journal.expected[tenantId]!;
  const missing = new Set(expected);
  let extra = 0;
  for (let shard = 0; shard < tenantDefaults(tenantId).shards; shard++) {
    const partition = `TENANT#${tenantId}#TELEMETRY#SHARD#${shard}`;
    for await (const { assetId, at, kind } of query(endpoint, partition, "TELEMETRY#")) {
      if (tenantId === TENANT && kind === "sample") continue;
      const name = `${assetId} ${at}`;
      if (!missing.delete(name) && !journal.uncertain.has(name)) extra++;
    }
  }
  return { missing: missing.size, extra, expected: expected.size };
}

/** Number of assets whose presence is more than one sampling interval older than their newest accepted heartbeat. */
async function countSilent(endpoint: string, { newest }: Journal, intervalMs: number): Promise<number> {
  const slackMs = tenantDefaults(TENANT).telemetryResolutionSeconds * 1000 + intervalMs;
  let silent = newest.size;
  for (const tenantId of [TENANT, WITNESS]) {
    for await (const { assetId, lastSeenAt } of query(endpoint, tenantKey(tenantId).PK, PRESENCE_PREFIX)) {
      const wanted = newest.get(assetId);
      if (wanted !== undefined && Date.parse(lastSeenAt!) >= Date.parse(wanted) - slackMs) silent--;
    }
  }
  return silent;
}

export type Conservation = { witnesses: Proof; changes: Proof; silent: number };

/** Compares the items of the table with the journal of the generator. */
export async function compareWithJournal(
  endpoint: string,
  journalPath: string,
  intervalMs: number,
): Promise<Conservation> {
  const journal = await readJournal(journalPath);
  const changes = await compareTelemetry(endpoint, TENANT, journal);
  const witnesses = await compareTelemetry(endpoint, WITNESS, journal);
  return { witnesses, changes, silent: await countSilent(endpoint, journal, intervalMs) };
}
