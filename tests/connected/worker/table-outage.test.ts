import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { embeddedDynamodbPath } from "../../../local/dynamodb.ts";
import { freePort } from "../../../local/free-port.ts";
import { startWorker } from "../../../local/stack.ts";
import { type Stage, startStage } from "../../../local/stage.ts";
import { embeddedClient } from "../../../local/table.ts";
import { makeHeartbeat } from "../../../lz/platform/simulated-agents.ts";
import { values } from "../../../shared/table/dynamo.ts";
import { TABLE_NAME } from "../../../shared/table/keys.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { createDynamo } from "../../../worker/platform/dynamodb-client.ts";
import { queueDepth, sendRaw, signedPack, takeDeadLetters } from "../../support/nodes/signed-pack.ts";
import { enrolAsset, eventually, startTestStack, type TestStack } from "../../support/stack.ts";

/** Visibility timeout in seconds. SQS dead-letters a message at its sixth receive (maxReceiveCount 5). */
const VISIBILITY_SECONDS = 2;
const OUTAGE_MS = 25_000;
const HOSTS_PER_MESSAGE = 10;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Starts a DynamoDB that a test can stop and restart at the same address with the same data. */
async function startDatabase() {
  const folder = mkdtempSync(join(tmpdir(), "lz-outage-"));
  const port = await freePort();
  const start = (): Promise<Stage> =>
    startStage({
      name: "dynamodb",
      command: [
        embeddedDynamodbPath(),
        "serve",
        "--port",
        String(port),
        "--db-path",
        join(folder, "db.sqlite"),
      ],
      env: {},
      cwd: process.cwd(),
      onLine: () => {},
      isReady: (line) => line.includes("listening"),
    });
  let stage = await start();
  closers.push(async () => {
    stage.kill("SIGKILL");
    await stage.exited;
    rmSync(folder, { recursive: true });
  });
  return {
    endpoint: `http://127.0.0.1:${port}`,
    kill: () => stage.kill("SIGKILL"),
    async restart() {
      await stage.exited;
      stage = await start();
    },
    hang: () => stage.kill("SIGSTOP"),
    goOn: () => stage.kill("SIGCONT"),
  };
}

type Refuse = (target: string, body: string) => boolean;

/** Starts a proxy that throttles the requests for which `refuse` returns true. */
function startThrottle(endpoint: string) {
  let refuse: Refuse = () => false;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const body = await request.text();
      const target = request.headers.get("x-amz-target") ?? "";
      const __type = "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException";
      if (refuse(target, body)) return Response.json({ __type }, { status: 400 });
      const { method, headers } = request;
      return fetch(endpoint, { method, headers, body, decompress: false });
    },
  });
  closers.push(() => server.stop(true));
  return {
    endpoint: `http://127.0.0.1:${server.port}`,
    refuse: (next: Refuse) => {
      refuse = next;
    },
  };
}

async function startWorld(before: (endpoint: string) => string = (endpoint) => endpoint) {
  const database = await startDatabase();
  const stack = await startTestStack("bun", {
    workers: 2,
    visibilitySeconds: VISIBILITY_SECONDS,
    dynamodbEndpoint: before(database.endpoint),
    environment: { LZ_RECEIVERS: "2" },
  });
  closers.push(() => stack.stop());
  const dynamo = createDynamo(embeddedClient(database.endpoint), {
    clock: Date.now,
    pause: (round) => Bun.sleep(20 * round),
    token: () => crypto.randomUUID(),
  });
  const recorded = async (tenantId: string): Promise<number> => {
    const { Count } = await dynamo("Query", {
      TableName: TABLE_NAME,
      KeyConditionExpression: "PK = :pk AND begins_with(SK, :prefix)",
      ExpressionAttributeValues: values({ pk: `TENANT#${tenantId}`, prefix: "PRESENCE#" }),
      Select: "COUNT",
    });
    return Count ?? 0;
  };
  return { stack, database, recorded };
}

const said = (stack: TestStack, event: string) =>
  stack.lines.filter((line) => line.startsWith("worker") && line.includes(`"${event}"`)).length;

/** Puts signed heartbeats of `hosts` hosts on the queue, as an edge node does. */
async function sendFleet(stack: TestStack, tenantId: string, hosts: number): Promise<void> {
  for (let first = 0; first < hosts; first += HOSTS_PER_MESSAGE) {
    const entries = Array.from({ length: HOSTS_PER_MESSAGE }, (_, i) => ({
      assetId: `01K${String(first + i).padStart(23, "0")}`,
      receivedAt: timestamp(Date.now()),
      body: JSON.stringify(makeHeartbeat(1, Date.now(), `host-${first + i}`)),
    }));
    await sendRaw(stack, await signedPack(stack, tenantId, entries));
  }
}

describe("a table outage longer than maxReceiveCount times the visibility timeout", () => {
  test("dead-letters no acknowledged heartbeat of two hosts while the table is down", async () => {
    const { stack, database } = await startWorld();
    const assets = [await enrolAsset(stack, "one"), await enrolAsset(stack, "two")];
    for (const asset of assets) expect((await asset.beat()).status).toBe(202);
    const sequenceOf = async (assetId: string) => {
      const answer = await stack.api(`/v1/assets/${assetId}`);
      return ((await answer.json()) as { presence?: { sequence: number } }).presence?.sequence;
    };
    const recordedAt = (sequence: number) => async () =>
      (await Promise.all(assets.map(({ assetId }) => sequenceOf(assetId)))).every((one) => one === sequence);
    await eventually(recordedAt(1));

    database.kill();
    const endMs = Date.now() + OUTAGE_MS;
    let sequence = 1;
    while (Date.now() < endMs) {
      for (const asset of assets) expect((await asset.beat()).status).toBe(202);
      sequence++;
      await Bun.sleep(1000);
    }
    await database.restart();
    await eventually(recordedAt(sequence), 30_000);
    await eventually(async () => {
      const { waiting, inFlight } = await queueDepth(stack);
      return waiting + inFlight === 0;
    }, 20_000);
    expect(await takeDeadLetters(stack)).toEqual([]);
    expect(said(stack, "table.back")).toBe(2); // Each of the two workers detected the recovery.
  }, 120_000);

  test("dead-letters no heartbeat of 2,000 hosts while the table hangs", async () => {
    const { stack, database, recorded } = await startWorld();
    database.hang();
    await sendFleet(stack, "org_fleet", 2000);
    await Bun.sleep(OUTAGE_MS); // Duration of the outage.
    const { waiting, inFlight } = await queueDepth(stack);
    expect(waiting + inFlight).toBe(2000 / HOSTS_PER_MESSAGE); // All messages are waiting or in flight. None was dead-lettered.
    expect(said(stack, "table.away")).toBeGreaterThan(0);
    database.goOn();
    await eventually(async () => (await recorded("org_fleet")) === 2000, 60_000);
    await eventually(async () => {
      const { waiting, inFlight } = await queueDepth(stack);
      return waiting + inFlight === 0;
    }, 20_000);
    expect(await takeDeadLetters(stack)).toEqual([]);
  }, 150_000);

  const THROTTLED: [string, Refuse][] = [
    ["throttled writes", (target) => /PutItem|UpdateItem|TransactWriteItems/.test(target)],
    [
      "failing reads of the tenant's settings",
      (target, body) =>
        target.endsWith("GetItem") && body.includes('"METADATA"') && body.includes("org_throttled"),
    ],
  ];
  for (const [name, refuse] of THROTTLED)
    test(`${name} dead-letter no heartbeat and do not count as an outage`, async () => {
      let throttle: ReturnType<typeof startThrottle> | undefined;
      const { stack, recorded } = await startWorld((endpoint) => {
        throttle = startThrottle(endpoint);
        return throttle.endpoint;
      });
      throttle!.refuse(refuse);
      await sendFleet(stack, "org_throttled", 100);
      await Bun.sleep(OUTAGE_MS); // Without protection, messages would be dead-lettered in this time.
      expect(await recorded("org_throttled")).toBe(0);
      throttle!.refuse(() => false);
      await eventually(async () => (await recorded("org_throttled")) === 100, 60_000);
      expect(await takeDeadLetters(stack)).toEqual([]);
      expect(said(stack, "table.away")).toBe(0);
    }, 150_000);

  test("if the queue hangs while messages are in flight, none is lost or dead-lettered", async () => {
    const { stack, recorded } = await startWorld();
    await sendFleet(stack, "org_queue", 200);
    await eventually(async () => (await recorded("org_queue")) > 0, 20_000);
    stack.stages.get("sqs")!.kill("SIGSTOP");
    await Bun.sleep(15_000); // Duration of the outage.
    stack.stages.get("sqs")!.kill("SIGCONT");
    await sendFleet(stack, "org_queue_after", 20);
    await eventually(async () => (await recorded("org_queue_after")) === 20, 60_000);
    await eventually(async () => (await recorded("org_queue")) === 200, 30_000);
    expect(await takeDeadLetters(stack)).toEqual([]);
  }, 150_000);

  test("a worker that starts during the outage receives nothing until the table responds", async () => {
    const { stack, database, recorded } = await startWorld();
    for (const name of ["worker", "worker-2"]) await stack.stages.get(name)!.stop();
    database.kill();
    await sendFleet(stack, "org_start", 20);
    const lines: string[] = [];
    const onLine = (_stage: string, line: string) => void lines.push(line);
    // If each worker received messages at its start, five starts would use up the receive count.
    for (let start = 0; start < 7; start++) {
      const worker = await startWorker({ root: process.cwd(), onLine }, stack.workerEnv, 3);
      await eventually(async () => lines.filter((line) => line.includes("table.away")).length > start);
      await Bun.sleep(1000); // The test checks that the worker receives nothing in this time.
      worker.kill("SIGKILL");
      await worker.exited;
      await Bun.sleep(VISIBILITY_SECONDS * 500); // After this time, received messages would become visible again.
    }
    expect(lines.filter((line) => line.includes("table.away"))).toHaveLength(7);
    expect(lines.filter((line) => /messages\.held|not-recorded|not-read/.test(line))).toEqual([]);
    await database.restart();
    stack.add(await startWorker({ root: process.cwd(), onLine }, stack.workerEnv, 3));
    await eventually(async () => (await recorded("org_start")) === 20, 20_000);
    expect(await takeDeadLetters(stack)).toEqual([]);
  }, 120_000);
});
