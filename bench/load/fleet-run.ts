import { closeSync, openSync, writeSync } from "node:fs";
import { timestamp } from "../../shared/time/clock.ts";
import { type BenchAsset, nextHeartbeat, requestBytes } from "./asset.ts";
import type { FleetMeasured } from "./commands.ts";
import { ANSWER_WAIT_MS, addUnanswered, cpuShare, latencyOf, pace, tally } from "./figures.ts";
import type { Pool } from "./pool.ts";

/** State of a fleet between commands: the assets, their connections, and the journal of sent heartbeats. */
export type FleetState = { assets: BenchAsset[]; pool: Pool; port: number; journal: string };

/** Rate and total number of heartbeats. `changed` and `resent` are shares of the total. */
export type Plan = { perSecond: number; total: number; changed: number; resent: number };

type Entry = { tenantId: string; assetId: string; at: string; change: boolean };

const JOURNAL_LINES_MAX = 1000;

/**
 * One run of a fleet. The assets take turns to send heartbeats, at a fixed rate. One line per heartbeat is
 * added to the journal.
 */
class FleetRun {
  readonly #fleet: FleetState;
  readonly #plan: Plan;
  readonly #file: number;
  readonly #statuses: Record<string, number> = {};
  readonly #latencies: number[] = [];
  readonly #counts = { sent: 0, answered: 0, distinct: 0, accepted: 0, changes: 0 };
  readonly #done = Promise.withResolvers<void>();
  /** Journal entries of heartbeats without a response so far. */
  readonly #unanswered = new Set<Entry>();
  #lines: string[] = [];
  #turn = 0;
  /** True once the last heartbeat has been sent. */
  #isOver = false;
  /** True once the figures have been computed. Later responses are ignored. */
  #isClosed = false;

  constructor(fleet: FleetState, plan: Plan) {
    this.#fleet = fleet;
    this.#plan = plan;
    this.#file = openSync(fleet.journal, "a");
  }

  async measure(): Promise<FleetMeasured> {
    const { perSecond, total } = this.#plan;
    const cpu = process.cpuUsage();
    const startMs = performance.now();
    await pace(startMs, perSecond, total, (dueMs) => this.#beat(dueMs));
    this.#isOver = true;
    if (this.#counts.answered === this.#counts.sent) this.#done.resolve();
    await Promise.race([this.#done.promise, Bun.sleep(ANSWER_WAIT_MS)]);
    const wallMs = performance.now() - startMs;
    this.#close();
    const { answered: _, ...counts } = this.#counts;
    return {
      ...counts,
      statuses: this.#statuses,
      seconds: wallMs / 1000,
      perSecond: Math.round(counts.sent / (wallMs / 1000)),
      latency: latencyOf(this.#latencies),
      generatorCpu: cpuShare(cpu, wallMs),
    };
  }

  /** Sends the heartbeat of the next asset. For some heartbeats, sends the same bytes twice. */
  #beat(dueMs: number): void {
    const { assets, port } = this.#fleet;
    const asset = assets[this.#turn++ % assets.length]!;
    const sentAtMs = Date.now();
    const isChange = Math.random() < this.#plan.changed;
    if (isChange) changeState(asset, sentAtMs);
    const body = JSON.stringify(nextHeartbeat(asset, sentAtMs));
    const bytes = requestBytes(asset, body, Math.floor(sentAtMs / 1000), `127.0.0.1:${port}`);
    const { tenantId, assetId } = asset;
    const entry: Entry = { tenantId, assetId, at: timestamp(sentAtMs), change: isChange };
    this.#counts.distinct++;
    if (isChange) this.#counts.changes++;
    const isTwice = Math.random() < this.#plan.resent;
    this.#unanswered.add(entry);
    this.#send(bytes, dueMs, (accepted) => {
      this.#unanswered.delete(entry);
      if (accepted) this.#counts.accepted++;
      this.#lines.push(JSON.stringify({ ...entry, accepted }));
      if (this.#lines.length >= JOURNAL_LINES_MAX) this.#flush();
      if (isTwice) this.#send(bytes, performance.now(), () => {});
    });
  }

  #send(bytes: Buffer, dueMs: number, then: (accepted: boolean) => void): void {
    this.#counts.sent++;
    this.#fleet.pool.submit(bytes, dueMs, (status, latencyMs) => {
      if (this.#isClosed) return;
      this.#counts.answered++;
      this.#latencies.push(latencyMs);
      tally(this.#statuses, status);
      then(status === 202);
      if (this.#isOver && this.#counts.answered === this.#counts.sent) this.#done.resolve();
    });
  }

  #flush(): void {
    if (this.#lines.length > 0) writeSync(this.#file, `${this.#lines.join("\n")}\n`);
    this.#lines = [];
  }

  #close(): void {
    this.#isClosed = true;
    for (const entry of this.#unanswered) this.#lines.push(JSON.stringify({ ...entry, accepted: false }));
    addUnanswered(this.#counts.sent - this.#counts.answered, this.#statuses, this.#latencies);
    this.#flush();
    closeSync(this.#file);
  }
}

/** Changes the version of the engine. The asset then has a new state, which opens no new incident. */
function changeState(asset: BenchAsset, nowMs: number): void {
  const [engine] = asset.engines;
  asset.engines = [{ ...engine!, version: `0.31.${asset.sequence + 1}` }];
  asset.stateSince = timestamp(nowMs);
}

/** Runs a fleet according to a plan and returns the measured figures. */
export const runFleet = (fleet: FleetState, plan: Plan): Promise<FleetMeasured> =>
  new FleetRun(fleet, plan).measure();
