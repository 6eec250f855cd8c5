import { afterEach, describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../../local/free-port.ts";
import { makeHeartbeat } from "../../../lz/platform/simulated-agents.ts";
import { fromUtf8 } from "../../../shared/encoding/bytes.ts";
import {
  encodeEntry,
  encodePack,
  KID_ATTRIBUTE,
  SIGNATURE_ATTRIBUTE,
} from "../../../shared/queue/message.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { eventually, ROOT } from "../../support/stack.ts";

/**
 * Runs the worker as a process with stubs of SQS and DynamoDB. The stubs can misbehave in ways that tests
 * cannot produce with the real services.
 */

const KEY = Buffer.alloc(32, 5);
const never = () => new Promise<Response>(() => {});
const string = (StringValue: string) => ({ DataType: "String", StringValue });

/** Creates a signed message with one heartbeat that was sent `agoMs` milliseconds ago. */
function message(agoMs: number, trace?: string) {
  const sentMs = Date.now() - agoMs;
  const beat = JSON.stringify(makeHeartbeat(1, sentMs, "host-1"));
  const line = encodeEntry({
    assetId: `01K${"0".repeat(23)}`,
    receivedAt: timestamp(sentMs),
    body: beat,
    ...(trace && { trace }),
  });
  const body = fromUtf8(encodePack("org_process", [line]));
  return {
    MessageId: "m-1",
    ReceiptHandle: "r-1",
    Body: body,
    Attributes: { ApproximateReceiveCount: "1", SentTimestamp: String(sentMs) },
    MessageAttributes: {
      [KID_ATTRIBUTE]: string("q1"),
      [SIGNATURE_ATTRIBUTE]: string(createHmac("sha256", KEY).update(body).digest("base64url")),
    },
  };
}

/** A W3C traceparent with the sampled flag, so the worker exports a span. */
const TRACE = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;

type Answer = (target: string, body: unknown) => Response | Promise<Response>;
const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

function serve(answer: Answer): string {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const target = request.headers.get("x-amz-target");
      // An agent under test can probe this port. The probes have no `x-amz-target` header.
      if (target === null) return new Response("no", { status: 404 });
      return answer(target, await request.json());
    },
  });
  stops.push(() => server.stop(true));
  return `http://127.0.0.1:${server.port}`;
}

const json = (body: object) =>
  Response.json(body, { headers: { "content-type": "application/x-amz-json-1.0" } });
/** Behaves like a table without items in which every write succeeds. */
const emptyTable: Answer = (target) =>
  json(target.endsWith("BatchGetItem") ? { Responses: {} } : target.endsWith("Query") ? { Items: [] } : {});
/** Responds to the table probe of the starting worker. Responds to all other requests as given. */
const afterProbe =
  (answer: Answer): Answer =>
  (target, body) =>
    JSON.stringify(body).includes("TENANT#probe") ? json({}) : answer(target, body);
/** Behaves like an empty queue: each receive is a long poll that returns no messages. */
const quietQueue = async () => {
  await Bun.sleep(200); // Duration of the long poll.
  return json({});
};

async function startWorker(sqs: Answer, dynamodb: Answer, more: Record<string, string> = {}) {
  const endpoint = serve(sqs);
  const metricsPort = await freePort();
  const worker = Bun.spawn([process.execPath, join(ROOT, "worker/main.ts")], {
    env: {
      PATH: process.env.PATH!,
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "local",
      AWS_SECRET_ACCESS_KEY: "local",
      LZ_QUEUE_KEYS: `q1:${KEY.toString("base64url")}`,
      LZ_CONTROL_JWKS: '{"keys":[]}',
      SQS_ENDPOINT: endpoint,
      SQS_QUEUE_URL: `${endpoint}/000000000000/heartbeats`,
      SQS_DLQ_URL: `${endpoint}/000000000000/dead`,
      DYNAMODB_ENDPOINT: serve(dynamodb),
      LZ_METRICS_PORT: String(metricsPort),
      LZ_RECEIVERS: "1",
      ...more,
    },
    stdout: "pipe",
    stderr: "inherit",
  });
  stops.push(() => worker.kill("SIGKILL"));
  let said = "";
  const told = (async () => {
    for await (const chunk of worker.stdout.pipeThrough(new TextDecoderStream())) said += chunk;
  })();
  const until = async (what: string, within = 30_000) => {
    const untilMs = Date.now() + within;
    while (!said.includes(what)) {
      if (Date.now() > untilMs) throw new Error(`the worker never said ${what}: ${said}`);
      await Bun.sleep(20);
    }
  };
  const ask = (path: string) => fetch(`http://127.0.0.1:${metricsPort}${path}`);
  await until('"worker.receiving"');
  return { worker, until, ask, said: () => told.then(() => said) };
}

const gauge = (exposed: string, name: string): number =>
  Number(new RegExp(`^lz_worker_${name} (.+)$`, "m").exec(exposed)?.[1]);

describe("the worker's process", () => {
  test("reports queue age, lag and health at the metrics endpoint", async () => {
    let given = 0;
    const { ask, worker } = await startWorker(async (target) => {
      if (target !== "AmazonSQS.ReceiveMessage") return json({ Successful: [], Failed: [] });
      return given++ === 0 ? json({ Messages: [message(90_000)] }) : quietQueue();
    }, emptyTable);
    const untilMs = Date.now() + 20_000;
    let highest = 0;
    let exposed = "";
    while (gauge(exposed, "heartbeats_total") !== 1 && Date.now() < untilMs) {
      await Bun.sleep(10);
      exposed = await (await ask("/metrics")).text();
      highest = Math.max(highest, gauge(exposed, "queue_age_seconds") || 0);
    }
    expect(gauge(exposed, "heartbeats_total")).toBe(1);
    expect(gauge(exposed, "lag_seconds")).toBeWithin(90, 120);
    expect(highest).toBeWithin(90, 120);
    expect(exposed).toContain("# TYPE lz_worker_queue_age_seconds gauge");
    // After a receive without messages, the age of the queue is unknown. The reported lag is then the lag of
    // the last message.
    await eventually(async () => {
      exposed = await (await ask("/metrics")).text();
      return gauge(exposed, "queue_age_seconds") === 0;
    });
    expect(gauge(exposed, "in_flight_messages")).toBe(0);
    expect((await ask("/healthz")).status).toBe(200);
    expect((await ask("/other")).status).toBe(404);
    worker.kill("SIGTERM");
    expect(await worker.exited).toBe(0);
  }, 60_000);

  test("stops cleanly and immediately while it waits for messages", async () => {
    const { worker, said } = await startWorker(never, emptyTable);
    const startMs = performance.now();
    worker.kill("SIGTERM");
    expect(await worker.exited).toBe(0);
    expect(performance.now() - startMs).toBeLessThan(20_000);
    expect(await said()).toContain('"worker.stopped"');
  }, 60_000);

  test("stops cleanly within seconds while its telemetry collector hangs", async () => {
    let exports = 0;
    const collector = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      idleTimeout: 0,
      fetch() {
        exports++;
        return never();
      },
    });
    stops.push(() => collector.stop(true));
    let given = 0;
    let removed = 0;
    const { worker, said } = await startWorker(
      async (target) => {
        if (target === "AmazonSQS.ReceiveMessage")
          return given++ === 0 ? json({ Messages: [message(1000, TRACE)] }) : quietQueue();
        if (target === "AmazonSQS.DeleteMessageBatch") removed++;
        return json({ Successful: [], Failed: [] });
      },
      emptyTable,
      { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.port}` },
    );
    while (removed === 0) await Bun.sleep(20);
    const startMs = performance.now();
    worker.kill("SIGTERM");
    expect(await worker.exited).toBe(0);
    expect(performance.now() - startMs).toBeLessThan(8000);
    expect(await said()).toContain('"worker.stopped"');
    expect(exports).toBeGreaterThan(0);
  }, 60_000);

  test("finishes and deletes a received message before it stops", async () => {
    const removed: unknown[] = [];
    let given = 0;
    let isAsked = false;
    const release = Promise.withResolvers<void>();
    const { worker } = await startWorker(
      async (target, body) => {
        if (target === "AmazonSQS.ReceiveMessage")
          return given++ === 0 ? json({ Messages: [message(1000)] }) : quietQueue();
        if (target === "AmazonSQS.DeleteMessageBatch") removed.push(body);
        return json({ Successful: [], Failed: [] });
      },
      afterProbe(async (target, body) => {
        isAsked ||= given > 0;
        await release.promise;
        return emptyTable(target, body);
      }),
    );
    while (!isAsked) await Bun.sleep(10);
    worker.kill("SIGTERM");
    await Bun.sleep(300); // The test checks that the worker deletes nothing in this time.
    expect(removed).toEqual([]);
    release.resolve();
    expect(await worker.exited).toBe(0);
    expect(removed).toHaveLength(1);
  }, 60_000);

  test("stops at its shutdown deadline while the table hangs, logs that, and deletes no message", async () => {
    const removed: unknown[] = [];
    let given = 0;
    let isAsked = false;
    const { worker, said } = await startWorker(
      async (target, body) => {
        if (target === "AmazonSQS.ReceiveMessage")
          return given++ === 0 ? json({ Messages: [message(1000)] }) : quietQueue();
        if (target === "AmazonSQS.DeleteMessageBatch") removed.push(body);
        return json({});
      },
      afterProbe(() => {
        isAsked ||= given > 0;
        return never();
      }),
      { LZ_STOP_SECONDS: "2" },
    );
    while (!isAsked) await Bun.sleep(10);
    const startMs = performance.now();
    worker.kill("SIGTERM");
    expect(await worker.exited).toBe(1);
    expect(performance.now() - startMs).toBeGreaterThan(1900);
    expect(await said()).toContain('"worker.stopped-late"');
    expect(removed).toEqual([]);
  }, 60_000);

  test("treats a queue that never responds as a stall: reports unhealthy, then exits with code 70", async () => {
    const { worker, ask, said } = await startWorker(never, emptyTable, { LZ_STALL_SECONDS: "40" });
    expect((await ask("/healthz")).status).toBe(200);
    await eventually(async () => (await ask("/healthz")).status === 503, 22_000);
    expect(await worker.exited).toBe(70);
    expect(await said()).toContain('"worker.stalled"');
  }, 120_000);

  test("does not treat a clock that is set ahead by one hour as a stall", async () => {
    const folder = mkdtempSync(join(tmpdir(), "lz-clock-"));
    stops.push(() => rmSync(folder, { recursive: true }));
    const preload = join(folder, "clock.ts");
    writeFileSync(
      preload,
      "const now = Date.now; const from = now(); Date.now = () => now() + (now() - from > 3000 ? 3600_000 : 0);",
    );
    const slowQueue = () => Bun.sleep(12_000).then(() => json({}));
    const { worker, until } = await startWorker(slowQueue, emptyTable, {
      LZ_STALL_SECONDS: "40",
      BUN_OPTIONS: `--preload=${preload}`,
    });
    await Bun.sleep(9000); // The worker checks for a stall every five seconds.
    expect(worker.exitCode).toBeNull();
    worker.kill("SIGTERM");
    await until('"worker.stopped"');
  }, 60_000);

  test("does not treat an empty queue as a stall", async () => {
    const { worker, ask } = await startWorker(quietQueue, emptyTable, { LZ_STALL_SECONDS: "40" });
    await Bun.sleep(3000); // Enough time for a few long polls.
    const { silentSeconds } = (await (await ask("/healthz")).json()) as { silentSeconds: number };
    expect(silentSeconds).toBeLessThan(3);
    expect(worker.exitCode).toBeNull();
  }, 60_000);
});
