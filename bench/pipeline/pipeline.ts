import { join } from "node:path";
import { RUNTIMES, type RuntimeName } from "../../local/edge-command.ts";
import { tenantDefaults } from "../../shared/table/items/tenant.ts";
import { readArguments } from "../harness/arguments.ts";
import { callSqs, scratchFolder } from "../harness/backends.ts";
import { cpuSeconds, finish, round } from "../harness/report.ts";
import { inScope, type Scope } from "../harness/scope.ts";
import type { Fleet, Ramp } from "../load/commands.ts";
import { type Generator, startGenerator } from "../load/generator.ts";
import { compareWithJournal } from "./conservation.ts";
import { type Pipeline, startPipeline, TENANT, WITNESS } from "./stages.ts";

/*
 * A fleet through the real edge, queue, worker and table, one process each, on this machine. A counting proxy is in front
 * of queue and table. After the run the queue is drained. Then three checks prove that nothing was lost or recorded twice:
 *
 * 1. Conservation. The number of heartbeats with the response 202 equals the number in messages that SQS accepted. It
 *    also equals the number in messages that the worker deleted after recording. Queue and dead-letter queue are empty.
 * 2. Witnesses. A twentieth of the fleet belongs to a tenant with resolution 0, where every heartbeat becomes an item.
 *    Its telemetry must hold each accepted heartbeat exactly once, although the generator sends some twice.
 * 3. Changes. In the sampled tenant, each accepted change of state has one item, and there are no other items.
 *
 * `lost` and `doubled` are the sums of the three checks. Ages of heartbeats include those that were still in the queue at
 * the end of the run.
 */

const { json, numbers, texts } = readArguments(
  "pipeline",
  "A fleet at its heartbeat interval through edge, queue, worker and table.",
  {
    endpoints: { min: 20, max: 200_000, default: 1000, says: "number of simulated hosts" },
    seconds: { min: 5, max: 3600, default: 60, says: "duration of the run in seconds, without the ramp" },
    interval: { min: 200, max: 600_000, default: 5000, says: "milliseconds between heartbeats of one host" },
    connections: {
      min: 1,
      max: 4000,
      default: 256,
      says: "number of keep-alive connections that the generator opens",
    },
    ramp: { min: 10, max: 20_000, default: 400, says: "hosts per second that send their first heartbeat" },
    risky: {
      min: 0,
      max: 1000,
      default: 1,
      says: "hosts per thousand with an engine that accepts connections from the network",
    },
    changes: { min: 0, max: 1000, default: 1, says: "heartbeats per thousand with a new state" },
    resent: { min: 0, max: 1000, default: 10, says: "heartbeats per thousand that are sent twice" },
    drain: {
      min: 1,
      max: 600,
      default: 60,
      says: "maximum time in seconds until the queue is empty after the run",
    },
  },
  { runtime: { of: ["bun", ...RUNTIMES.filter((name) => name !== "bun")], says: "edge runtime" } },
);

const WITNESS_SHARE = 0.05;
const witnesses = Math.max(10, Math.round(numbers.endpoints * WITNESS_SHARE));

async function depthOf(sqsEndpoint: string, queueUrl: string): Promise<number> {
  const { Attributes } = (await callSqs(sqsEndpoint, "GetQueueAttributes", {
    QueueUrl: queueUrl,
    AttributeNames: ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
  })) as { Attributes: Record<string, string> };
  return (
    Number(Attributes.ApproximateNumberOfMessages) + Number(Attributes.ApproximateNumberOfMessagesNotVisible)
  );
}

/** Waits until the queue is empty. The maximum waiting time is set by `--drain`. */
async function drained(sqsEndpoint: string, queueUrl: string): Promise<{ depth: number; tookMs: number }> {
  const startMs = performance.now();
  for (;;) {
    const depth = await depthOf(sqsEndpoint, queueUrl);
    const tookMs = Math.round(performance.now() - startMs);
    if (depth === 0 || tookMs > numbers.drain * 1000) return { depth, tookMs };
    await Bun.sleep(100);
  }
}

const rampOf = ({ edgePort, secrets }: Pipeline, journal: string): Ramp => ({
  is: "ramp",
  port: edgePort,
  connections: numbers.connections,
  perSecond: numbers.ramp,
  edgeSecret: secrets.edgeSecrets,
  tenants: [
    { tenantId: TENANT, assets: numbers.endpoints - witnesses },
    { tenantId: WITNESS, assets: witnesses },
  ],
  risky: numbers.risky / 1000,
  journal,
});

const FLEET: Fleet = {
  is: "fleet",
  seconds: numbers.seconds,
  intervalMs: numbers.interval,
  changed: numbers.changes / 1000,
  resent: numbers.resent / 1000,
};

/** Sends the first heartbeat of each host, and waits until the worker has recorded these heartbeats. */
async function measureRamp(pipeline: Pipeline, generator: Generator, journal: string) {
  const { queue } = pipeline;
  const startMs = performance.now();
  const ramp = await generator.ramp(rampOf(pipeline, journal));
  const { depth } = await drained(queue.endpoint, queue.queueUrl);
  if (depth > 0)
    throw new Error(
      `the ramp was not recorded within ${numbers.drain} s: use a larger --drain or a smaller --ramp`,
    );
  const seconds = (performance.now() - startMs) / 1000;
  const calls = Object.entries((await pipeline.counts()).dynamoCalls).map(
    ([call, number]) => `${call} ${round(number / ramp.accepted)}`,
  );
  console.log(
    `ramp: ${ramp.accepted} of ${ramp.distinct} first heartbeats accepted, recorded at ${round(ramp.accepted / seconds, 0)}/s`,
  );
  console.log(`      DynamoDB calls per new asset: ${calls.join(", ")}`);
  return { ramp, rampSeconds: seconds };
}

/**
 * Sends heartbeats at the interval, in a new counting period. The new period excludes the figures of the
 * ramp, in which all assets are new.
 */
async function measureSteady({ pids, counts, resetCounts }: Pipeline, generator: Generator) {
  await resetCounts();
  const flowBefore = (await counts()).flow;
  const cpuBefore = Object.values(pids).map((pid) => cpuSeconds(pid));
  const startMs = performance.now();
  const measured = await generator.fleet(FLEET);
  const steady = await counts();
  const seconds = (performance.now() - startMs) / 1000;
  const cpu = Object.entries(pids).map(([name, pid], index): [string, number | undefined] => [
    name,
    cpuShare(cpuBefore[index], cpuSeconds(pid), seconds),
  ]);
  return { measured, steady, flowBefore, cpu: Object.fromEntries(cpu) };
}

async function bench(scope: Scope) {
  const journal = join(scratchFolder(scope), "journal.jsonl");
  const pipeline = await startPipeline(scope, texts.runtime as RuntimeName);
  const generator = startGenerator();
  scope.keep(generator.stop);
  console.log(
    `${numbers.endpoints} hosts, one heartbeat per ${numbers.interval} ms, ${numbers.seconds} s; ${witnesses} of them are witnesses`,
  );
  const ramped = await measureRamp(pipeline, generator, journal);
  const steady = await measureSteady(pipeline, generator);
  const { queue } = pipeline;
  const { depth, tookMs: drainedMs } = await drained(queue.endpoint, queue.queueUrl);
  const dead = await depthOf(queue.endpoint, queue.deadLetterUrl);
  const last = await pipeline.counts();
  const proof = await compareWithJournal(pipeline.tableEndpoint, journal, numbers.interval);
  return { ...ramped, ...steady, last, proof, depth, dead, drainedMs };
}

/** CPU time as a share of one core. Undefined if the system does not report CPU time. */
const cpuShare = (before: number | undefined, after: number | undefined, seconds: number) =>
  before === undefined || after === undefined ? undefined : round((after - before) / seconds);

const sum = (counts: Record<string, number>): number =>
  Object.values(counts).reduce((total, each) => total + each, 0);

const found = await inScope(
  numbers.seconds + numbers.endpoints / numbers.ramp + 2 * numbers.drain + 240,
  bench,
);
const { measured, steady, last, proof } = found;

const accepted202 = (measured.statuses["202"] ?? 0) + (found.ramp.statuses["202"] ?? 0);
const sent = measured.sent + found.ramp.sent;
const unanswered = sent - accepted202;
const settled = sum(last.flow.removed.heartbeats);
const unsettled = Math.max(0, accepted202 - settled);
// A dead letter counts as lost. It contains at least one heartbeat that the worker did not record, although
// the message was deleted.
const lost = unsettled + found.dead + proof.witnesses.missing + proof.changes.missing + proof.silent;
const doubled = proof.witnesses.extra + proof.changes.extra + last.telemetryWrittenTwice;

const heartbeats = sum(steady.flow.accepted.heartbeats) - sum(found.flowBefore.accepted.heartbeats);
const messages = steady.flow.accepted.messages - found.flowBefore.accepted.messages;
const billed = sum(steady.sqsBilled);
const { telemetryResolutionSeconds } = tenantDefaults(TENANT);

/*
 * Write units of samples are extrapolated. An unchanged heartbeat is written only once per resolution
 * interval. A measurement period that is not a multiple of this interval would therefore count too many or
 * too few writes. Instead, the bench measures the write units of one sample, and calculates the number of
 * samples from the settings. Writes of changes are excluded. Writes of witnesses are included, because they
 * have the same size as samples.
 */
const ofSamples = Object.keys(steady.writeUnits).filter(
  (label) => !/change|incident|event|baseline/.test(label),
);
const samples = ofSamples.reduce((total, label) => total + (steady.samples[label] ?? 0), 0);
const sampleUnits = ofSamples.reduce((total, label) => total + steady.writeUnits[label]!, 0);
const perSample = sampleUnits / samples;
const samplesPerHeartbeat = Math.min(1, numbers.interval / (telemetryResolutionSeconds * 1000));
const writeUnitsPerHeartbeat = round(perSample * samplesPerHeartbeat, 4);

console.log(`
sent ${sent}, response 202: ${accepted202}, other or no response: ${unanswered}
ingest  p50 ${measured.latency.p50Ms}  p95 ${measured.latency.p95Ms}  p99 ${measured.latency.p99Ms}  max ${measured.latency.maxMs} ms
queue   age of heartbeats when recorded: p50 ${last.settledAgeMs.p50}  p99 ${last.settledAgeMs.p99}  max ${last.settledAgeMs.max} ms; drained in ${found.drainedMs} ms
        ${round(heartbeats / messages, 1)} heartbeats per message, ${round(billed / heartbeats, 4)} billed requests per heartbeat ${JSON.stringify(steady.sqsBilled)}
table   ${round(perSample)} write units per sampled heartbeat = ${writeUnitsPerHeartbeat} per unchanged heartbeat at ${telemetryResolutionSeconds} s ${JSON.stringify(steady.writeUnits)}
cpu     ${Object.entries(found.cpu)
  .map(([name, share]) => `${name} ${share ?? "unknown"}`)
  .join("  ")}  generator ${measured.generatorCpu}  (cores)
proof   conservation: ${accepted202} accepted, ${sum(last.flow.accepted.heartbeats)} queued, ${settled} recorded; ${found.depth} in the queue, ${found.dead} dead letters
        witnesses: ${proof.witnesses.expected} accepted, ${proof.witnesses.missing} missing, ${proof.witnesses.extra} too many
        changes: ${proof.changes.expected} accepted, ${proof.changes.missing} missing, ${proof.changes.extra} too many; silent assets: ${proof.silent}
lost ${lost}, doubled ${doubled}`);
finish(json, {
  endpoints: numbers.endpoints,
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
