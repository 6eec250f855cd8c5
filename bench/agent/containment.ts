import { join } from "node:path";
import { freePort } from "../../local/free-port.ts";
import { type Stack, startStack } from "../../local/stack.ts";
import { readArguments } from "../harness/arguments.ts";
import { root, scratchFolder, showFaults, startEdge } from "../harness/backends.ts";
import { callAdmin, startAgent } from "../harness/enrolled-agent.ts";
import { finish, round } from "../harness/report.ts";
import { inScope, type Scope } from "../harness/scope.ts";
import { makeHost } from "../load/contained-host.ts";

/*
 * Measures the time from an administrator's request until the API shows the containment proof. Edge, queue,
 * worker, table and agent are real, and each runs in a separate process.
 *
 * The agent runs in its own network namespace, where nftables enforces mode `network` and both probes run.
 * Without root or outside Linux, only mode `observe` is measured, which changes nothing. The result contains
 * the measured mode. Runs begin at random times between two heartbeats.
 *
 * - `poll`: the agent has a long poll at the node that receives the request.
 * - `otherNode`: the long poll is at another node, which reads the change from the table.
 * - `heartbeat`: there is no long poll, and directives arrive in heartbeat responses.
 */

const { json, numbers, texts } = readArguments(
  "containment",
  "Time from isolate and from release to the agent's proof.",
  {
    runs: {
      min: 2,
      max: 10_000,
      default: 100,
      says: "number of isolations for each delivery method; each is followed by a release",
    },
    interval: { min: 200, max: 60_000, default: 5000, says: "milliseconds between heartbeats" },
  },
  { way: { of: ["all", "poll", "otherNode", "heartbeat"], says: "how directives reach the agent" } },
);

const WAYS = ["poll", "otherNode", "heartbeat"] as const;
type Way = (typeof WAYS)[number];
type Times = { isolate: number[]; release: number[] };

const READ_EVERY_MS = 5;
const PROVEN_WITHIN_MS = numbers.interval * 3 + 20_000;

/** Starts all processes that are needed to measure one delivery method. */
async function start(scope: Scope, way: Way) {
  const folder = scratchFolder(scope);
  const host = await makeHost(scope);
  const port = await freePort();
  const noPolls = { LZ_HELD_POLLS_MAX: "0" };
  const stack = await scope.start(
    () =>
      startStack({
        root,
        folder,
        port,
        runtime: "bun",
        environment: {
          HOST: "0.0.0.0",
          LZ_ADMIN_PER_MINUTE: "10000000",
          ...(way === "heartbeat" && noPolls),
        },
        onLine: showFaults,
        onStep: () => {},
      }),
    ({ stop }) => stop(),
  );
  const agentPort = way === "otherNode" ? (await secondEdge(scope, stack)).port : port;
  const { assetId } = await startAgent(scope, {
    stack,
    command: [...host.enter, process.execPath, join(root, "agent/main.ts")],
    folder,
    edgeUrl: `http://${host.edgeAddress}:${agentPort}`,
    intervalMs: numbers.interval,
  });
  return { stack, assetId, mode: host.isReal ? "network" : "observe" };
}

const secondEdge = (scope: Scope, { secrets, dynamodbEndpoint, queueUrl }: Stack) =>
  startEdge(scope, "bun", secrets, { dynamodbEndpoint, queueUrl }, { HOST: "0.0.0.0" });

/** Time in ms from the administrator's request until the API shows the proof. */
async function change(stack: Stack, path: string, body: object, proven: string): Promise<number> {
  const startedAtMs = performance.now();
  await callAdmin(stack, `${path}/${proven === "active" ? "release" : "isolate"}`, body);
  for (;;) {
    const { containment } = (await callAdmin(stack, path)) as {
      containment: { state: string; reason?: string };
    };
    const tookMs = performance.now() - startedAtMs;
    if (containment.state === proven) return tookMs;
    if (containment.state.includes("failed")) throw new Error(`${containment.state}: ${containment.reason}`);
    if (tookMs > PROVEN_WITHIN_MS) throw new Error(`still ${containment.state} after ${round(tookMs, 0)} ms`);
    await Bun.sleep(READ_EVERY_MS);
  }
}

const summary = (times: readonly number[]) => {
  const ascending = times.toSorted((a, b) => a - b);
  const at = (share: number) => round(ascending[Math.ceil(share * ascending.length) - 1]!, 0);
  return { p50Ms: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99), maxMs: at(1) };
};

async function measure(way: Way): Promise<{ mode: string; times: Times }> {
  const secondsMax = 60 + (numbers.runs * (numbers.interval * 4 + 2000)) / 1000;
  return inScope(secondsMax, async (scope) => {
    const { stack, assetId, mode } = await start(scope, way);
    const times: Times = { isolate: [], release: [] };
    const path = `/v1/assets/${assetId}`;
    const justification = "latency bench";
    for (let run = 0; run < numbers.runs; run++) {
      await Bun.sleep(Math.random() * Math.min(numbers.interval, 5000));
      const enforced = mode === "network" ? "enforced" : "acknowledged";
      times.isolate.push(await change(stack, path, { justification, mode }, enforced));
      await Bun.sleep(Math.random() * Math.min(numbers.interval, 2000));
      times.release.push(await change(stack, path, { justification }, "active"));
    }
    return { mode, times };
  });
}

const ways = WAYS.filter((way) => texts.way === "all" || texts.way === way);
const result: Record<string, unknown> = { runs: numbers.runs, intervalMs: numbers.interval };
for (const way of ways) {
  const { mode, times } = await measure(way);
  const [isolate, release] = [summary(times.isolate), summary(times.release)];
  console.log(`${way}, mode ${mode}: isolate → proven ${JSON.stringify(isolate)}`);
  console.log(`${way}, mode ${mode}: release → proven ${JSON.stringify(release)}`);
  // The first delivery method is the usual one for agents, so its figures are also the main result.
  if (way === ways[0]) Object.assign(result, isolate);
  Object.assign(result, { mode, [way]: { isolate, release } });
}
finish(json, result);
process.exit(0);
