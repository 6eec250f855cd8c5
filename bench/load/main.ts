import { type BenchAsset, makeAsset, nextHeartbeat, parseEdgeSecret, requestBytes } from "./asset.ts";
import type { Command, Fleet, FleetMeasured, Measured, Ramp, Steady } from "./commands.ts";
import { ANSWER_WAIT_MS, addUnanswered, cpuShare, latencyOf, pace, tally } from "./figures.ts";
import { type FleetState, runFleet } from "./fleet-run.ts";
import { openPool } from "./pool.ts";

/**
 * The load generator, which is a separate process. It runs one {@link Command} per line of stdin, until stdin
 * is closed.
 */

const WARM_WAIT_MS = 60_000;

let fleetOfSteady: { edgeSecret: string; assets: BenchAsset[] } | undefined;

/**
 * Creates one signed request per asset before the measurement starts. Assets, sessions and states stay the
 * same between commands, as in a real fleet. Sequence numbers and times increase from one command to the
 * next.
 */
function prepare({ assets: count, edgeSecret, port }: Steady): Buffer[] {
  const nowMs = Date.now();
  if (fleetOfSteady?.edgeSecret !== edgeSecret || fleetOfSteady.assets.length !== count) {
    const secret = parseEdgeSecret(edgeSecret);
    const assets = Array.from({ length: count }, (_, number) =>
      makeAsset("org_bench", number, secret, nowMs),
    );
    fleetOfSteady = { edgeSecret, assets };
  }
  return fleetOfSteady.assets.map((asset) => {
    const body = JSON.stringify(nextHeartbeat(asset, nowMs));
    return requestBytes(asset, body, Math.floor(nowMs / 1000), `127.0.0.1:${port}`);
  });
}

async function steady(command: Steady): Promise<Measured> {
  const requests = prepare(command);
  const pool = await openPool(command.port, command.connections);
  const statuses: Record<string, number> = {};
  const latencies: number[] = [];
  const done = Promise.withResolvers<void>();
  let sent = 0;
  let answered = 0;
  let lastMs = 0;
  let isOver = false;
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  const endMs = startMs + command.seconds * 1000;
  const submit = (dueMs: number) => pool.submit(requests[sent++ % requests.length]!, dueMs, onAnswer);

  function onAnswer(status: number | undefined, latencyMs: number) {
    answered++;
    latencies.push(latencyMs);
    tally(statuses, status);
    lastMs = performance.now();
    if (command.is === "closed" && (lastMs < endMs || sent < command.requestsMin)) submit(lastMs);
    else if ((command.is === "closed" || isOver) && answered === sent) done.resolve();
  }

  if (command.is === "closed") {
    for (let i = 0; i < command.connections; i++) submit(performance.now());
  } else {
    await pace(startMs, command.perSecond, Math.floor(command.perSecond * command.seconds), submit);
    isOver = true;
    if (answered === sent) done.resolve();
  }
  const waitMs = command.requestsMin > 0 ? WARM_WAIT_MS : command.seconds * 1000 + ANSWER_WAIT_MS;
  await Promise.race([done.promise, Bun.sleep(waitMs)]);
  if (answered < sent) lastMs = performance.now();
  const wallMs = lastMs - startMs;
  pool.close();
  addUnanswered(sent - answered, statuses, latencies);
  return {
    sent,
    statuses,
    seconds: wallMs / 1000,
    perSecond: Math.round((statuses["202"] ?? 0) / (wallMs / 1000)),
    latency: latencyOf(latencies),
    generatorCpu: cpuShare(cpu, wallMs),
  };
}

let made: FleetState | undefined;

async function ramp(command: Ramp): Promise<FleetMeasured> {
  const { port, connections, journal, perSecond } = command;
  const secret = parseEdgeSecret(command.edgeSecret);
  const nowMs = Date.now();
  let number = 0;
  const assets = command.tenants.flatMap(({ tenantId, assets: count }) =>
    Array.from({ length: count }, (_, index) => {
      const asset = makeAsset(tenantId, number++, secret, nowMs);
      if (index < Math.round(count * command.risky)) asset.engines[0]!.bind = ["0.0.0.0"];
      return asset;
    }),
  );
  shuffle(assets);
  made = { assets, pool: await openPool(port, connections), port, journal };
  return await runFleet(made, { perSecond, total: assets.length, changed: 1, resent: 0 });
}

async function fleet(command: Fleet): Promise<FleetMeasured> {
  if (!made) throw new Error("the command `fleet` needs the command `ramp` before it");
  const { seconds, intervalMs, changed, resent } = command;
  const perSecond = (made.assets.length * 1000) / intervalMs;
  const total = Math.floor(perSecond * seconds);
  const measured = await runFleet(made, { perSecond, total, changed, resent });
  made.pool.close();
  return measured;
}

function shuffle<T>(items: T[]) {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [items[i], items[j]] = [items[j]!, items[i]!];
  }
}

for await (const text of console) {
  const command = JSON.parse(text) as Command;
  const measured =
    command.is === "ramp" ? ramp(command) : command.is === "fleet" ? fleet(command) : steady(command);
  console.log(JSON.stringify(await measured));
}
process.exit(0);
