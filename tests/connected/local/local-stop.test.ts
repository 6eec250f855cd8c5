import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GetItemCommand } from "@aws-sdk/client-dynamodb";
import { makeAsset, nextHeartbeat, parseEdgeSecret, signatureHeaders } from "../../../bench/load/asset.ts";
import { freePort } from "../../../local/free-port.ts";
import { type Stack, startStack } from "../../../local/stack.ts";
import { embeddedClient } from "../../../local/table.ts";
import { marshalItem } from "../../../shared/table/dynamo.ts";
import { presenceKey, TABLE_NAME } from "../../../shared/table/keys.ts";
import { eventually, ROOT } from "../../support/stack.ts";

const ASSETS = 40;
const FIRST_ASSET = 700_000;

const folder = mkdtempSync(join(tmpdir(), "lz-stop-"));
const port = await freePort();
let stack: Stack | undefined;
afterAll(async () => {
  await stack?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const start = (workers: number) =>
  startStack({ root: ROOT, folder, port, runtime: "bun", workers, onLine: () => {}, onStep: () => {} });

test("stopping the local stack loses no acknowledged heartbeat", async () => {
  // The stack has no worker, so every heartbeat is still in the queue when the stack stops.
  stack = await start(0);
  const secret = parseEdgeSecret(stack.secrets.edgeSecrets);
  const { edgeUrl, tenantId } = stack;
  const assets = Array.from({ length: ASSETS }, (_, at) =>
    makeAsset(tenantId, FIRST_ASSET + at, secret, Date.now()),
  );
  const statuses = await Promise.all(
    assets.map(async (asset) => {
      const body = JSON.stringify(nextHeartbeat(asset, Date.now()));
      const headers = signatureHeaders(asset, body, Math.floor(Date.now() / 1000));
      return (await fetch(`${edgeUrl}/v1/heartbeats`, { method: "POST", headers, body })).status;
    }),
  );
  expect(statuses).toEqual(Array.from({ length: ASSETS }, () => 202));
  await stack.stop();

  stack = await start(1);
  const client = embeddedClient(stack.dynamodbEndpoint);
  const isRecorded = async (assetId: string): Promise<boolean> => {
    const get = {
      TableName: TABLE_NAME,
      Key: marshalItem(presenceKey(tenantId, assetId)),
      ConsistentRead: true,
    };
    return (await client.send(new GetItemCommand(get))).Item !== undefined;
  };
  for (const { assetId } of assets) await eventually(() => isRecorded(assetId), 20_000);
  client.destroy();
}, 60_000);
