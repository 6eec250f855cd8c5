import { closeSync, openSync, writeSync } from "node:fs";
import { percentile } from "../../lz/platform/percentile.ts";
import { timestamp } from "../../shared/time/clock.ts";
import { type BenchAsset, makeAsset, nextHeartbeat, parseEdgeSecret, requestBytes } from "./asset.ts";
import type { Command, Fleet, FleetMeasured, Latency, Measured, Ramp, Steady } from "./commands.ts";
import { openPool, type Pool } from "./pool.ts";

/** The load generator, in a process of its own. Obeys {@link Command} lines until stdin ends. */

/** How long an answer is waited for once nothing more is sent. */
const ANSWER_WAIT_MS = Number(process.argv[2]);
const WARM_WAIT_MS = 60_000;

function latencyOf(ms: number[]): Latency {
  const ascending = Float64Array.from(ms).sort();
  const at = (share: number) => Math.round(percentile(ascending, share) * 100) / 100;
  return { p50Ms: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99), maxMs: at(1) };
}

function cpuShare(since: NodeJS.CpuUsage, wallMs: number): number {
  const { user, system } = process.cpuUsage(since);
  return Math.round(((user + system) / 1000 / wallMs) * 1000) / 1000;
}

const tally = (statuses: Record<string, number>, status: number | undefined) => {
  const name = status === undefined ? "none" : String(status);
  statuses[name] = (statuses[name] ?? 0) + 1;
};

/** What has no answer when the waiting ends took that long at least. */
function addUnanswered(count: number, statuses: Record<string, number>, latencies: number[]): void {
  for (let i = 0; i < count; i++) {
    tally(statuses, undefined);
    latencies.push(ANSWER_WAIT_MS);
  }
}

let fleetOfSteady: { edgeSecret: string; assets: BenchAsset[] } | undefined;

/**
 * One signed request for every asset, made before the clock runs. The assets, their sessions and their states
 * stay the same from one command to the next, as they do in a fleet; sequence and times go on.
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

/** Calls at a fixed rate, whatever the answers do: what is late is sent at once and counts from when it was due. */
async function pace(startMs: number, perSecond: number, total: number, call: (dueMs: number) => void) {
  for (let number = 0; number < total; ) {
    const due = Math.min(total, Math.floor(((performance.now() - startMs) / 1000) * perSecond) + 1);
    for (; number < due; number++) call(startMs + (number * 1000) / perSecond);
    await Bun.sleep(1);
  }
}

type FleetState = { assets: BenchAsset[]; pool: Pool; port: number; journal: string };
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
  return await report(made, { perSecond, total: assets.length, changed: 1, resent: 0 });
}

async function fleet(command: Fleet): Promise<FleetMeasured> {
  if (!made) throw new Error("a fleet needs its ramp first");
  const { seconds, intervalMs, changed, resent } = command;
  const perSecond = (made.assets.length * 1000) / intervalMs;
  const total = Math.floor(perSecond * seconds);
  const measured = await report(made, { perSecond, total, changed, resent });
  made.pool.close();
  return measured;
}

/** Assets take turns at a fixed rate. What was sent, and whether it was accepted, goes into the journal. */
async function report(
  { assets, pool, port, journal }: FleetState,
  plan: { perSecond: number; total: number; changed: number; resent: number },
): Promise<FleetMeasured> {
  const file = openSync(journal, "a");
  const statuses: Record<string, number> = {};
  const latencies: number[] = [];
  const done = Promise.withResolvers<void>();
  const counts = { sent: 0, answered: 0, distinct: 0, accepted: 0, changes: 0 };
  let isOver = false;
  let isClosed = false;
  /** What the journal is to say of those that have no answer. */
  const unanswered = new Set<object>();
  let lines: string[] = [];
  const cpu = process.cpuUsage();
  const startMs = performance.now();

  function send(bytes: Buffer, dueMs: number, then: (accepted: boolean) => void) {
    counts.sent++;
    pool.submit(bytes, dueMs, (status, latencyMs) => {
      if (isClosed) return;
      counts.answered++;
      latencies.push(latencyMs);
      tally(statuses, status);
      then(status === 202);
      if (isOver && counts.answered === counts.sent) done.resolve();
    });
  }

  function beat(dueMs: number, turn: number) {
    const asset = assets[turn % assets.length]!;
    const sentAtMs = Date.now();
    const isChange = Math.random() < plan.changed;
    if (isChange) changeState(asset, sentAtMs);
    const body = JSON.stringify(nextHeartbeat(asset, sentAtMs));
    const bytes = requestBytes(asset, body, Math.floor(sentAtMs / 1000), `127.0.0.1:${port}`);
    const entry = {
      tenantId: asset.tenantId,
      assetId: asset.assetId,
      at: timestamp(sentAtMs),
      change: isChange,
    };
    counts.distinct++;
    if (isChange) counts.changes++;
    const isTwice = Math.random() < plan.resent;
    unanswered.add(entry);
    send(bytes, dueMs, (accepted) => {
      unanswered.delete(entry);
      if (accepted) counts.accepted++;
      lines.push(JSON.stringify({ ...entry, accepted }));
      if (lines.length >= 1000) flush();
      if (isTwice) send(bytes, performance.now(), () => {});
    });
  }

  function flush() {
    if (lines.length > 0) writeSync(file, `${lines.join("\n")}\n`);
    lines = [];
  }

  let turn = 0;
  await pace(startMs, plan.perSecond, plan.total, (dueMs) => beat(dueMs, turn++));
  isOver = true;
  if (counts.answered === counts.sent) done.resolve();
  await Promise.race([done.promise, Bun.sleep(ANSWER_WAIT_MS)]);
  const wallMs = performance.now() - startMs;
  isClosed = true;
  for (const entry of unanswered) lines.push(JSON.stringify({ ...entry, accepted: false }));
  addUnanswered(counts.sent - counts.answered, statuses, latencies);
  flush();
  closeSync(file);
  const { sent, distinct, accepted, changes } = counts;
  return {
    sent,
    distinct,
    accepted,
    changes,
    statuses,
    seconds: wallMs / 1000,
    perSecond: Math.round(sent / (wallMs / 1000)),
    latency: latencyOf(latencies),
    generatorCpu: cpuShare(cpu, wallMs),
  };
}

/** Another version of the engine: a change that opens no new incident. */
function changeState(asset: BenchAsset, nowMs: number) {
  const [engine] = asset.engines;
  asset.engines = [{ ...engine!, version: `0.31.${asset.sequence + 1}` }];
  asset.stateSince = timestamp(nowMs);
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
