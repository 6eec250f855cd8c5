import { assetItem } from "../../../shared/table/items/asset/asset.ts";
import { traceFiles } from "./trace-files.ts";

/*
 * Prints JSON with the files of the edge that a heartbeat and an isolation pass through. Runs in its own
 * process, because the tracing must be installed before the edge is imported.
 */
const entered = traceFiles();
const { makeAdminApp } = await import("./admin-app.ts");
const { ASSET_ID, EDGE_URL, TENANT_ID } = await import("./edge-app.ts");
const { createFetch } = await import("../../../edge/app.ts");
const { createPendingActions } = await import("../../../edge/heartbeat/pending-actions.ts");
const { createQueueBatcher } = await import("../../../edge/heartbeat/queue-batcher.ts");
const { createAwsCall } = await import("../../../edge/platform/aws-client.ts");
const { createQueueClient } = await import("../../../edge/platform/queue-client.ts");
const { staticCredentials } = await import("../../../edge/credentials/static-keys.ts");
const { bunHashing } = await import("../../../edge/runtime/bun-hashing.ts");
const { createMemoryDynamo } = await import("../dynamo/memory-dynamo.ts");
const { makeHeartbeat, signedRequest } = await import("../../../lz/platform/simulated-agents.ts");
const { importHmacKey } = await import("../../../shared/wire/signature.ts");
const { marshalItem } = await import("../../../shared/table/dynamo.ts");
const { assetKey } = await import("../../../shared/table/keys.ts");
const { believing } = await import("../control/authority.ts");

const QUEUE_URL = "http://sqs.test/000000000000/heartbeats";
const after = (ms: number, then: () => void) => {
  const timer = setTimeout(then, ms);
  return () => clearTimeout(timer);
};
const log = () => {};
const clock = () => Date.now();

/** A stub of SQS that accepts every message. */
globalThis.fetch = (async (input: Request) => {
  const { MessageBody } = (await input.json()) as { MessageBody: string };
  const md5 = bunHashing.md5(new TextEncoder().encode(MessageBody));
  return Response.json({ MessageId: "1", MD5OfMessageBody: md5 });
}) as unknown as typeof fetch;

const settings = { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b", AWS_REGION: "eu-central-1" };
const credentials = staticCredentials(settings, { clock, random: Math.random, log });
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const instruments = { sent: log, actionSetAge: log };
const queue = createQueueClient({
  call: createAwsCall({ credentials, region: "eu-central-1", pause }, "sqs", "http://sqs.test"),
  queueUrl: QUEUE_URL,
  instruments,
  hashing: bunHashing,
  signing: { kid: "q1", key: await importHmacKey(new Uint8Array(32), ["sign"]) },
  log,
});
const { dynamo } = createMemoryDynamo();
const pendingActions = createPendingActions({
  ...{ dynamo, table: "t", authority: believing(dynamo), clock, log, instruments, shared: true, after },
});
const world = await makeAdminApp({
  ...{ dynamo, pendingActions, enqueue: createQueueBatcher(queue.send, after, 1) },
});
const asset = assetItem.parse({
  ...{
    type: "Asset",
    tenantId: TENANT_ID,
    assetId: ASSET_ID,
    employeeId: "dana",
    hostname: "h",
    os: "linux",
  },
  ...{ arch: "x64", deviceKey: "A".repeat(43), enrolledAt: "2026-01-01T00:00:00.000Z", status: "ACTIVE" },
  ...{ generation: 0, custodyCount: 0 },
});
await dynamo("PutItem", {
  TableName: "t",
  Item: marshalItem({ ...assetKey(TENANT_ID, ASSET_ID), ...asset }),
});
const respond = createFetch(world.deps);
const signer = await world.openSession();

async function heartbeat(): Promise<number> {
  const body = JSON.stringify(makeHeartbeat(1, world.state.nowMs, "h"));
  const request = await signedRequest(EDGE_URL, "/v1/heartbeats", body, signer, world.state.nowMs / 1000);
  return (await respond(request)).status;
}
async function isolate(): Promise<number> {
  const headers = {
    authorization: `Bearer ${await world.session()}`,
    "content-type": "application/json",
    "idempotency-key": "trace-isolation",
  };
  const body = JSON.stringify({ justification: "unknown model weights", mode: "network" });
  const url = `${EDGE_URL}/v1/assets/${ASSET_ID}/isolate`;
  const response = await respond(new Request(url, { method: "POST", headers, body }));
  if (response.status !== 202) console.error(await response.text());
  return response.status;
}

const trace = async (send: () => Promise<number>) => {
  entered.clear();
  const status = await send();
  return { status, files: [...entered] };
};
console.log(JSON.stringify({ heartbeat: await trace(heartbeat), isolation: await trace(isolate) }));
process.exit(0);
