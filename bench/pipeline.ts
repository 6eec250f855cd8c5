import { createReadStream } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { PutItemCommand, QueryCommand } from "@aws-sdk/client-dynamodb";
import { RUNTIMES, type RuntimeName } from "../local/edge-command.ts";
import { publicJwk, type Secrets } from "../local/secrets.ts";
import { signLocalTable } from "../local/sign-local-table.ts";
import { startWorker } from "../local/stack.ts";
import type { Stage } from "../local/stage.ts";
import { embeddedClient } from "../local/table.ts";
import { marshalItem, unmarshalItem, values } from "../shared/table/dynamo.ts";
import { tenantDefaults } from "../shared/table/items/tenant.ts";
import { PRESENCE_PREFIX, TABLE_NAME, tenantKey } from "../shared/table/keys.ts";
import { readArguments } from "./arguments.ts";
import {
  benchSecrets,
  CREDENTIALS,
  callSqs,
  type Queue,
  root,
  scratchFolder,
  showFaults,
  startEdge,
  startPart,
  startQueue,
  startTable,
} from "./backends.ts";
import { startGenerator } from "./load/generator.ts";
import { cpuSeconds, finish, round } from "./report.ts";
import { inScope, type Scope } from "./scope.ts";

/*
 * A fleet through the real edge, queue, worker and table, all on this machine, one process each, with a counting
 * proxy in front of queue and table. After the run the queue is drained, and then three proofs are read:
 *
 * 1. Conservation. Heartbeats the edge answered 202 = heartbeats in messages SQS accepted = heartbeats in
 *    messages the worker removed after recording them; queue and dead-letter queue are empty.
 * 2. Witnesses. A twentieth of the fleet belongs to a tenant with resolution 0, where every heartbeat becomes an
 *    item: its telemetry has to hold exactly the accepted heartbeats, one item each, although some were sent twice.
 * 3. Changes. In the sampled tenant every accepted change of state has to have its item, and nothing else has.
 *
 * `lost` and `doubled` add up what any of the three finds. How old heartbeats get is told of all that were sent in
 * the run, also of those that were still in the queue at its end.
 */

const { json, wholes, texts } = readArguments(
  "pipeline",
  "A fleet at its heartbeat interval through edge, queue, worker and table.",
  {
    endpoints: { min: 20, max: 200_000, default: 1000, says: "simulated endpoints" },
    seconds: {
      min: 5,
      max: 3600,
      default: 60,
      says: "length of the run, after the ramp",
    },
    interval: {
      min: 200,
      max: 600_000,
      default: 5000,
      says: "milliseconds between heartbeats of one endpoint",
    },
    connections: { min: 1, max: 4000, default: 256, says: "keep-alive connections of the generator" },
    ramp: { min: 10, max: 20_000, default: 400, says: "endpoints a second that report for the first time" },
    risky: {
      min: 0,
      max: 1000,
      default: 1,
      says: "endpoints in a thousand whose engine is open to the network",
    },
    changes: { min: 0, max: 1000, default: 1, says: "heartbeats in a thousand that tell a new state" },
    resent: { min: 0, max: 1000, default: 10, says: "heartbeats in a thousand that are sent twice" },
    drain: { min: 1, max: 600, default: 60, says: "seconds the queue may take to empty afterwards" },
  },
  { runtime: { of: ["bun", ...RUNTIMES.filter((name) => name !== "bun")], says: "edge runtime" } },
);

const TENANT = "org_bench";
const WITNESS = "org_witness";
const WITNESS_SHARE = 0.05;

type Flow = { messages: number; heartbeats: Record<string, number> };
type Age = { p50: number; p99: number; max: number };
type Counts = {
  sqsCalls: Record<string, number>;
  sqsBilled: Record<string, number>;
  writeUnits: Record<string, number>;
  writes: Record<string, number>;
  samples: Record<string, number>;
  dynamoCalls: Record<string, number>;
  flow: { accepted: Flow; received: Flow; removed: Flow };
  telemetryWrittenTwice: number;
  receivedAgeMs: Age;
  settledAgeMs: Age;
};

type Proxy = { sqs: string; dynamodb: string; control: string; stage: Stage };

async function startProxy(scope: Scope, sqs: Queue, dynamodb: string): Promise<Proxy> {
  let where: Omit<Proxy, "stage"> | undefined;
  const stage = await startPart(scope, {
    name: "proxy",
    command: [process.execPath, join(root, "bench/counting-proxy.ts")],
    env: { SQS_ENDPOINT: sqs.endpoint, QUEUE_URL: sqs.queueUrl, DYNAMODB_ENDPOINT: dynamodb },
    cwd: root,
    onLine: showFaults,
    isReady: (line) => {
      if (!line.includes('"proxy.listening"')) return false;
      where = JSON.parse(line);
      return true;
    },
  });
  return { ...where!, stage };
}

const through = (url: string, proxy: string): string => new URL(new URL(url).pathname, proxy).href;

async function countsOf(proxy: Proxy): Promise<Counts> {
  return (await (await fetch(`${proxy.control}/counts`)).json()) as Counts;
}

async function writeTenants(endpoint: string, secrets: Secrets): Promise<void> {
  const client = embeddedClient(endpoint);
  for (const tenantId of [TENANT, WITNESS]) {
    const defaults = tenantDefaults(tenantId);
    // What the fleet runs is approved, as nearly everything is once a company has looked at its incidents.
    const policy = { ...defaults.policy, approvedEngines: ["ollama"], approvedModels: ["llama3*"] };
    const tenant = { ...defaults, policy, ...(tenantId === WITNESS && { telemetryResolutionSeconds: 0 }) };
    await client.send(
      new PutItemCommand({ TableName: TABLE_NAME, Item: marshalItem({ ...tenantKey(tenantId), ...tenant }) }),
    );
    await signLocalTable(client, secrets, tenantId);
  }
  client.destroy();
}

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

type Proof = { missing: number; extra: number; expected: number };

/** Compares what the table holds with what the generator's journal says was accepted. */
async function prove(
  endpoint: string,
  journal: string,
): Promise<{ witnesses: Proof; changes: Proof; silent: number }> {
  const expected = new Map([
    [TENANT, new Set<string>()],
    [WITNESS, new Set<string>()],
  ]);
  /** Sent and not answered with 202: it may be there or not. */
  const uncertain = new Set<string>();
  const newest = new Map<string, string>();
  for await (const line of createInterface({ input: createReadStream(journal) })) {
    const { tenantId, assetId, at, change, accepted } = JSON.parse(line);
    const name = `${assetId} ${at}`;
    if (!accepted) uncertain.add(name);
    else if (tenantId === WITNESS || change) expected.get(tenantId)!.add(name);
    if (accepted && (newest.get(assetId) ?? "") < at) newest.set(assetId, at);
  }
  const proofs: Record<string, Proof> = {};
  for (const tenantId of [TENANT, WITNESS]) {
    const wanted = expected.get(tenantId)!;
    const missing = new Set(wanted);
    let extra = 0;
    const { shards } = tenantDefaults(tenantId);
    for (let shard = 0; shard < shards; shard++) {
      const partition = `TENANT#${tenantId}#TELEMETRY#SHARD#${shard}`;
      for await (const { assetId, at, kind } of query(endpoint, partition, "TELEMETRY#")) {
        if (tenantId === TENANT && kind === "sample") continue;
        const name = `${assetId} ${at}`;
        if (!missing.delete(name) && !uncertain.has(name)) extra++;
      }
    }
    proofs[tenantId] = { missing: missing.size, extra, expected: wanted.size };
  }
  const { telemetryResolutionSeconds } = tenantDefaults(TENANT);
  const slackMs = telemetryResolutionSeconds * 1000 + wholes.interval;
  let silent = newest.size;
  for (const tenantId of [TENANT, WITNESS]) {
    for await (const { assetId, lastSeenAt } of query(endpoint, tenantKey(tenantId).PK, PRESENCE_PREFIX)) {
      const wanted = newest.get(assetId);
      if (wanted !== undefined && Date.parse(lastSeenAt!) >= Date.parse(wanted) - slackMs) silent--;
    }
  }
  return { witnesses: proofs[WITNESS]!, changes: proofs[TENANT]!, silent };
}

async function depthOf(sqsEndpoint: string, queueUrl: string): Promise<number> {
  const { Attributes } = (await callSqs(sqsEndpoint, "GetQueueAttributes", {
    QueueUrl: queueUrl,
    AttributeNames: ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
  })) as { Attributes: Record<string, string> };
  return (
    Number(Attributes.ApproximateNumberOfMessages) + Number(Attributes.ApproximateNumberOfMessagesNotVisible)
  );
}

/** Waits until the queue is empty, at most as long as a drain may take. */
async function drained(sqsEndpoint: string, queueUrl: string): Promise<{ depth: number; tookMs: number }> {
  const startMs = performance.now();
  for (;;) {
    const depth = await depthOf(sqsEndpoint, queueUrl);
    const tookMs = Math.round(performance.now() - startMs);
    if (depth === 0 || tookMs > wholes.drain * 1000) return { depth, tookMs };
    await Bun.sleep(100);
  }
}

async function bench(scope: Scope) {
  const folder = scratchFolder(scope);
  const secrets = await benchSecrets();
  const table = await startTable(scope); // in memory: DynamoDB does not wait for this machine's disk
  const queue = await startQueue(scope);
  const proxy = await startProxy(scope, queue, table.endpoint);
  await writeTenants(table.endpoint, secrets);
  const queueUrl = through(queue.queueUrl, proxy.sqs);
  const worker = await scope.start(
    () =>
      startWorker(
        { root, onLine: showFaults },
        {
          ...CREDENTIALS,
          DYNAMODB_ENDPOINT: proxy.dynamodb,
          SQS_QUEUE_URL: queueUrl,
          SQS_DLQ_URL: through(queue.deadLetterUrl, proxy.sqs),
          SQS_ENDPOINT: proxy.sqs,
          LZ_QUEUE_KEYS: secrets.queueKeys,
          LZ_CONTROL_JWKS: JSON.stringify({ keys: [publicJwk(secrets.controlKey)] }),
          ...(process.env.LZ_RECEIVERS && { LZ_RECEIVERS: process.env.LZ_RECEIVERS }),
        },
      ),
    (stage) => stage.stop(),
  );
  const edge = await startEdge(
    scope,
    texts.runtime as RuntimeName,
    secrets,
    { dynamodbEndpoint: proxy.dynamodb, queueUrl },
    passedOn(["LZ_PACK_WAIT_MS"]),
  );
  const generator = startGenerator();
  scope.keep(generator.stop);
  const stages = { edge: edge.stage, worker, sqs: queue.stage, dynamodb: table.stage, proxy: proxy.stage };

  const journal = join(folder, "journal.jsonl");
  const witnesses = Math.max(10, Math.round(wholes.endpoints * WITNESS_SHARE));
  console.log(
    `${wholes.endpoints} endpoints, one heartbeat per ${wholes.interval} ms, ${wholes.seconds} s; ${witnesses} of them are witnesses`,
  );
  const rampStartMs = performance.now();
  const ramp = await generator.ramp({
    is: "ramp",
    port: edge.port,
    connections: wholes.connections,
    perSecond: wholes.ramp,
    edgeSecret: secrets.edgeSecrets,
    tenants: [
      { tenantId: TENANT, assets: wholes.endpoints - witnesses },
      { tenantId: WITNESS, assets: witnesses },
    ],
    risky: wholes.risky / 1000,
    journal,
  });
  const ramped = await drained(queue.endpoint, queue.queueUrl);
  if (ramped.depth > 0) {
    throw new Error(
      `the ramp was not recorded within ${wholes.drain} s: give it more --drain or a lower --ramp`,
    );
  }
  const rampSeconds = (performance.now() - rampStartMs) / 1000;
  console.log(
    `ramp: ${ramp.accepted} of ${ramp.distinct} first heartbeats accepted, recorded at ${round(ramp.accepted / rampSeconds, 0)}/s`,
  );
  const rampCalls = (await countsOf(proxy)).dynamoCalls;
  const perAsset = Object.entries(rampCalls).map(
    ([call, number]) => `${call} ${round(number / ramp.accepted)}`,
  );
  console.log(`      DynamoDB calls a new asset: ${perAsset.join(", ")}`);
  // Counted from here on: in the ramp every asset is new, which no asset is twice.
  await fetch(`${proxy.control}/reset`, { method: "POST" });
  const flowBefore = (await countsOf(proxy)).flow;
  const cpuBefore = Object.values(stages).map(({ pid }) => cpuSeconds(pid));
  const windowStartMs = performance.now();
  const measured = await generator.fleet({
    is: "fleet",
    seconds: wholes.seconds,
    intervalMs: wholes.interval,
    changed: wholes.changes / 1000,
    resent: wholes.resent / 1000,
  });
  const steady = await countsOf(proxy);
  const windowSeconds = (performance.now() - windowStartMs) / 1000;
  const cpu = Object.entries(stages).map(([name, { pid }], index): [string, number | undefined] => [
    name,
    cpuShare(cpuBefore[index], cpuSeconds(pid), windowSeconds),
  ]);

  const { depth, tookMs: drainedMs } = await drained(queue.endpoint, queue.queueUrl);
  const dead = await depthOf(queue.endpoint, queue.deadLetterUrl);
  const last = await countsOf(proxy);
  const proof = await prove(table.endpoint, journal);
  return {
    measured,
    ramp,
    rampSeconds,
    steady,
    last,
    flowBefore,
    proof,
    depth,
    dead,
    drainedMs,
    cpu: Object.fromEntries(cpu),
    witnesses,
  };
}

/** Of a core; undefined where the system does not tell. */
const cpuShare = (before: number | undefined, after: number | undefined, seconds: number) =>
  before === undefined || after === undefined ? undefined : round((after - before) / seconds);

/** Settings of the stages that a person may want to try here. */
const passedOn = (names: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );

const sum = (counts: Record<string, number>): number =>
  Object.values(counts).reduce((total, each) => total + each, 0);

const found = await inScope(wholes.seconds + wholes.endpoints / wholes.ramp + 2 * wholes.drain + 240, bench);
const { measured, steady, last, proof } = found;

const accepted202 = (measured.statuses["202"] ?? 0) + (found.ramp.statuses["202"] ?? 0);
const sent = measured.sent + found.ramp.sent;
const unanswered = sent - accepted202;
const settled = sum(last.flow.removed.heartbeats);
const unsettled = Math.max(0, accepted202 - settled);
// A dead letter is one heartbeat or more that nobody recorded, though the worker removed its message.
const lost = unsettled + found.dead + proof.witnesses.missing + proof.changes.missing + proof.silent;
const doubled = proof.witnesses.extra + proof.changes.extra + last.telemetryWrittenTwice;

const heartbeats = sum(steady.flow.accepted.heartbeats) - sum(found.flowBefore.accepted.heartbeats);
const messages = steady.flow.accepted.messages - found.flowBefore.accepted.messages;
const billed = sum(steady.sqsBilled);
const { telemetryResolutionSeconds } = tenantDefaults(TENANT);

/*
 * Unchanged heartbeats write at the edge of a resolution interval only, so a window that is no multiple of it
 * counts too many or too few. What one sampled heartbeat writes is measured; how many there are is the settings'.
 * Writes that tell a change are left out; those of the witnesses are of the same items and counted in.
 */
const ofSamples = Object.keys(steady.writeUnits).filter(
  (label) => !/change|incident|event|baseline/.test(label),
);
const samples = ofSamples.reduce((total, label) => total + (steady.samples[label] ?? 0), 0);
const sampleUnits = ofSamples.reduce((total, label) => total + steady.writeUnits[label]!, 0);
const perSample = sampleUnits / samples;
const samplesPerHeartbeat = Math.min(1, wholes.interval / (telemetryResolutionSeconds * 1000));
const writeUnitsPerHeartbeat = round(perSample * samplesPerHeartbeat, 4);

console.log(`
sent ${sent}, answered 202: ${accepted202}, otherwise: ${unanswered}
ingest  p50 ${measured.latency.p50Ms}  p95 ${measured.latency.p95Ms}  p99 ${measured.latency.p99Ms}  max ${measured.latency.maxMs} ms
queue   age when recorded and removed: p50 ${last.settledAgeMs.p50}  p99 ${last.settledAgeMs.p99}  max ${last.settledAgeMs.max} ms; drained in ${found.drainedMs} ms
        ${round(heartbeats / messages, 1)} heartbeats a message, ${round(billed / heartbeats, 4)} billed requests a heartbeat ${JSON.stringify(steady.sqsBilled)}
table   ${round(perSample)} write units a sampled heartbeat = ${writeUnitsPerHeartbeat} an unchanged one at ${telemetryResolutionSeconds} s ${JSON.stringify(steady.writeUnits)}
cpu     ${Object.entries(found.cpu)
  .map(([name, share]) => `${name} ${share ?? "unknown"}`)
  .join("  ")}  generator ${measured.generatorCpu}  (cores)
proof   conservation: ${accepted202} accepted, ${sum(last.flow.accepted.heartbeats)} queued, ${settled} recorded and removed; ${found.depth} left, ${found.dead} dead
        witnesses: ${proof.witnesses.expected} accepted, ${proof.witnesses.missing} missing, ${proof.witnesses.extra} too many
        changes: ${proof.changes.expected} accepted, ${proof.changes.missing} missing, ${proof.changes.extra} too many; silent assets: ${proof.silent}
lost ${lost}, doubled ${doubled}`);
finish(json, {
  endpoints: wholes.endpoints,
  runtime: texts.runtime,
  sent,
  accepted: accepted202,
  notAccepted: unanswered,
  lost,
  doubled,
  dead: found.dead,
  p99Ms: measured.latency.p99Ms,
  latency: measured.latency,
  queueAgeP99Ms: last.settledAgeMs.p99,
  receivedAgeP99Ms: last.receivedAgeMs.p99,
  heartbeatsPerMessage: round(heartbeats / messages, 2),
  sqsRequestsPerHeartbeat: round(billed / heartbeats, 4),
  sqsBilled: steady.sqsBilled,
  writeUnitsPerHeartbeat,
  writeUnitsPerSample: round(perSample),
  writeUnits: steady.writeUnits,
  writes: steady.writes,
  newAssetsPerSecond: round(found.ramp.accepted / found.rampSeconds, 0),
  drainedMs: found.drainedMs,
  cpu: found.cpu,
  generatorCpu: measured.generatorCpu,
  proof,
});
if (lost > 0 || doubled > 0) process.exitCode = 1;
