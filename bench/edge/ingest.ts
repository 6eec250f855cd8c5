import { join } from "node:path";
import type { RuntimeName } from "../../local/edge-command.ts";
import { freePort } from "../../local/free-port.ts";
import type { Stage } from "../../local/stage.ts";
import { readArguments } from "../harness/arguments.ts";
import {
  benchSecrets,
  callSqs,
  root,
  showFaults,
  startEdge,
  startPart,
  startQueue,
  startTable,
} from "../harness/backends.ts";
import { cpuSeconds, finish, median, round } from "../harness/report.ts";
import { inScope, type Scope } from "../harness/scope.ts";
import type { Measured } from "../load/commands.ts";
import { startGenerator } from "../load/generator.ts";
import { measureSteps } from "./ingest-steps.ts";

/*
 * Compares the edge's ingest path with servers that only return 202. Each server is a separate process. The
 * same load generator sends the same requests, signed beforehand, to all servers.
 *
 * The ingest path consists of authentication, validation, isolation check, signing and an acknowledged
 * enqueue. Rounds are interleaved, so that other load on the machine affects all servers equally. The ratio
 * is computed per round.
 */

const { json, numbers, texts } = readArguments(
  "ingest",
  "Requests per second and latency of the ingest path, compared with a bare server in the same run.",
  {
    rounds: { min: 1, max: 50, default: 5, says: "number of rounds; each round measures every server" },
    seconds: { min: 1, max: 60, default: 2, says: "duration of one closed-loop measurement in seconds" },
    warm: {
      min: 0,
      max: 60,
      default: 2,
      says: "duration of each server's warm-up in seconds; every asset sends heartbeats",
    },
    connections: {
      min: 1,
      max: 2000,
      default: 256,
      says: "number of keep-alive connections in the closed loop",
    },
    rate: { min: 1, max: 50_000, default: 2000, says: "requests per second in the open loop" },
    open: { min: 1, max: 120, default: 5, says: "duration of the open loop in seconds" },
    assets: { min: 1, max: 50_000, default: 1000, says: "number of simulated assets" },
    sample: {
      min: 1,
      max: 1000,
      default: 120,
      says: "duration in milliseconds of one sample when a step is measured",
    },
  },
  { servers: { of: ["all", "bun"], says: "edge runtimes" } },
);

const WARM_PASSES = 4;

type Server = { name: string; stage: Stage; port: number; isEdge: boolean };
type Round = Measured & { notAccepted: number; cpuMicros: number | undefined };

async function startBare(scope: Scope, kind: string): Promise<Server> {
  const port = await freePort();
  const stage = await startPart(scope, {
    name: kind,
    command: [process.execPath, join(root, "bench/load/bare-server.ts"), kind],
    env: { PORT: String(port) },
    cwd: root,
    onLine: showFaults,
    isReady: (line) => line.includes('"bare.listening"'),
  });
  return { name: kind, stage, port, isEdge: false };
}

async function bench(scope: Scope) {
  const secrets = await benchSecrets();
  const table = await startTable(scope);
  const queue = await startQueue(scope);
  const servers: Server[] = [];
  for (const kind of ["bare", "reading", "hono"]) servers.push(await startBare(scope, kind));
  const backends = { dynamodbEndpoint: table.endpoint, queueUrl: queue.queueUrl };
  const runtimes: RuntimeName[] = texts.servers === "bun" ? ["bun"] : ["bun", "deno", "workerd"];
  for (const runtime of runtimes) {
    servers.push({ name: runtime, isEdge: true, ...(await startEdge(scope, runtime, secrets, backends)) });
  }
  const generator = startGenerator();
  scope.keep(generator.stop);

  const run = async (
    server: Server,
    is: "closed" | "open",
    seconds: number,
    requestsMin = 0,
  ): Promise<Round> => {
    const before = cpuSeconds(server.stage.pid);
    const measured = await generator.steady({
      is,
      port: server.port,
      seconds,
      connections: numbers.connections,
      perSecond: numbers.rate,
      requestsMin,
      assets: numbers.assets,
      edgeSecret: secrets.edgeSecrets,
    });
    const after = cpuSeconds(server.stage.pid);
    const { "202": accepted = 0, ...wrong } = measured.statuses;
    const notAccepted = measured.sent - accepted;
    if (accepted === 0) throw new Error(`${server.name} accepted nothing: ${JSON.stringify(wrong)}`);
    if (notAccepted > 0) console.log(`  ${server.name}: not accepted ${JSON.stringify(wrong)}`);
    // No worker reads the queue in this bench. Purge the queue, so that every round has the same cost.
    if (server.isEdge) await callSqs(queue.endpoint, "PurgeQueue", { QueueUrl: queue.queueUrl });
    const used = before === undefined || after === undefined ? undefined : after - before;
    return {
      ...measured,
      notAccepted,
      cpuMicros: used === undefined ? undefined : round((used / measured.sent) * 1e6, 1),
    };
  };

  // This warm-up lets the runtime compile the code and lets the edge cache every asset. In production, the
  // edge reaches this state five seconds after the start.
  for (const server of servers) await run(server, "closed", numbers.warm, WARM_PASSES * numbers.assets);
  const rounds: Record<string, Round>[] = [];
  for (let number = 0; number < numbers.rounds; number++) {
    const results: Record<string, Round> = {};
    for (const server of servers) results[server.name] = await run(server, "closed", numbers.seconds);
    rounds.push(results);
    const bare = results.bare!.perSecond;
    const shown = servers.map(({ name }) => `${name} ${results[name]!.perSecond}`).join("  ");
    console.log(`round ${number + 1}: ${shown}  req/s; bun/bare ${round(results.bun!.perSecond / bare)}`);
  }
  const open: Record<string, Round> = {};
  for (const server of servers) open[server.name] = await run(server, "open", numbers.open);
  return { rounds, open, names: servers.map(({ name }) => name) };
}

const SERVERS_MAX = 6;
const secondsMax = 300 + 2 * SERVERS_MAX * (numbers.warm + numbers.rounds * numbers.seconds + numbers.open);
const { rounds, open, names } = await inScope(secondsMax, bench);
const middle = (name: string, of: (round: Round) => number) =>
  round(median(rounds.map((each) => of(each[name]!))));
const cpuMicrosOf = (name: string): number | undefined => {
  const told = rounds.flatMap((each) => each[name]!.cpuMicros ?? []);
  return told.length === 0 ? undefined : round(median(told));
};
const notAcceptedBy = (name: string): number =>
  [...rounds.map((each) => each[name]!), open[name]!].reduce((total, each) => total + each.notAccepted, 0);
const ratioTo = (name: string, base: string) =>
  round(median(rounds.map((each) => each[name]!.perSecond / each[base]!.perSecond)), 3);

console.log(
  `\n${numbers.connections} connections, median of ${rounds.length} rounds; ${numbers.rate}/s for the percentiles`,
);
const servers = Object.fromEntries(
  names.map((name) => [
    name,
    {
      perSecond: middle(name, (each) => each.perSecond),
      ratioToBare: ratioTo(name, "bare"),
      cpuMicrosPerRequest: cpuMicrosOf(name),
      notAccepted: notAcceptedBy(name),
      generatorCpu: middle(name, (each) => each.generatorCpu),
      closedP99Ms: middle(name, (each) => each.latency.p99Ms),
      open: open[name]!.latency,
      openGeneratorCpu: open[name]!.generatorCpu,
    },
  ]),
);
for (const [name, it] of Object.entries(servers)) {
  console.log(
    `${name.padEnd(8)} ${String(it.perSecond).padStart(7)} req/s  ${it.ratioToBare.toFixed(3)} of bare  ` +
      `${it.cpuMicrosPerRequest ?? "unknown"} µs CPU/request (generator at ${Math.round(it.generatorCpu * 100)} % of a core)  ` +
      `p50 ${it.open.p50Ms}  p95 ${it.open.p95Ms}  p99 ${it.open.p99Ms} ms`,
  );
}
const steps = await measureSteps(numbers.sample);
console.log("\ncost of each step in one process, µs per heartbeat:");
for (const [step, micros] of Object.entries(steps)) console.log(`  ${step.padEnd(46)} ${micros}`);
finish(json, {
  ratioToBare: servers.bun!.ratioToBare,
  ratioToBareReading: ratioTo("bun", "reading"),
  perSecond: servers.bun!.perSecond,
  p99Ms: servers.bun!.open.p99Ms,
  notAccepted: servers.bun!.notAccepted,
  ratioPerRound: rounds.map((each) => round(each.bun!.perSecond / each.bare!.perSecond, 3)),
  servers,
  stepsMicros: steps,
});
