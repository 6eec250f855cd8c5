import type { Log } from "../../shared/observability/log.ts";
import { type Dynamo, DynamoFault, marshalItem, type Operations } from "../../shared/table/dynamo.ts";
import { tenantKey } from "../../shared/table/keys.ts";
import type { Metrics } from "./metrics.ts";
import { CIRCUIT_OPEN, isOutage } from "./transient-error.ts";

const PROBE_MS_MIN = 250;
const PROBE_MS_MAX = 5000;
/**
 * Tenant name for probes, which no real tenant has. A read probe uses half a capacity unit, and a write probe
 * uses one. The condition of a write probe is never true, so a write probe writes nothing.
 */
const PROBE_TENANT = "probe";
const READS: ReadonlySet<string> = new Set(["BatchGetItem", "DescribeTable", "GetItem", "Query"]);
type Kind = "read" | "write";

export type TableBreaker = {
  /** Client of the table. It throws {@link CIRCUIT_OPEN} immediately while the table is unavailable. */
  dynamo: Dynamo;
  isAvailable(): boolean;
  /** Resolves when the table is available, or when `stop` aborts. */
  whenAvailable(stop: AbortSignal): Promise<void>;
};

type Needs = {
  table: string;
  random: () => number;
  /** Sleeps for `ms` milliseconds. Resolves early if the signal aborts. */
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  stop: AbortSignal;
  log: Log;
  metrics: Pick<Metrics, "count" | "gauge">;
  /** Called after each probe, because a worker that waits for its table is not stalled. */
  onProbe: () => void;
};

/**
 * Circuit breaker in front of the table.
 *
 * It opens if a call fails as in an outage and no other call has succeeded since the failed call began. It
 * closes when a probe succeeds. A table can serve reads and refuse writes. A successful read therefore does
 * not count for writes, and the probe after a failed write is a write. The breaker starts open, so a worker
 * that starts during an outage receives no messages.
 */
export function createTableBreaker(dynamo: Dynamo, needs: Needs): TableBreaker {
  const breaker = new Breaker(dynamo, needs);
  return {
    dynamo: (operation, input) => breaker.send(operation, input),
    isAvailable: () => breaker.isAvailable(),
    whenAvailable: (stop) => breaker.whenAvailable(stop),
  };
}

class Breaker {
  readonly #dynamo: Dynamo;
  readonly #needs: Needs;
  /** Number of successful calls by kind. A successful write also counts as a read. */
  readonly #succeeded: Record<Kind, number> = { read: 0, write: 0 };
  /** True while calls are sent to the table. */
  #isClosed = false;
  /** Resolves when the breaker closes. */
  #closed = Promise.withResolvers<void>();

  constructor(dynamo: Dynamo, needs: Needs) {
    this.#dynamo = dynamo;
    this.#needs = needs;
    void this.#probeUntilAvailable("read", true);
  }

  isAvailable(): boolean {
    return this.#isClosed;
  }

  async whenAvailable(stop: AbortSignal): Promise<void> {
    while (!this.#isClosed && !stop.aborted) {
      const stopped = Promise.withResolvers<void>();
      const end = () => stopped.resolve();
      stop.addEventListener("abort", end, { once: true });
      await Promise.race([this.#closed.promise, stopped.promise]);
      stop.removeEventListener("abort", end);
    }
  }

  async send<Name extends keyof Operations>(
    operation: Name,
    input: Operations[Name][0],
  ): Promise<Operations[Name][1]> {
    if (!this.#isClosed) throw new DynamoFault(CIRCUIT_OPEN);
    const kind = READS.has(operation) ? "read" : "write";
    const before = this.#succeeded[kind];
    try {
      const response = await this.#dynamo(operation, input);
      this.#noteSuccess(kind);
      return response;
    } catch (error) {
      if (!isOutage(error)) this.#noteSuccess(kind);
      else if (this.#succeeded[kind] === before) this.#open(kind, error);
      throw error;
    }
  }

  #noteSuccess(kind: Kind): void {
    this.#succeeded.read++;
    if (kind === "write") this.#succeeded.write++;
  }

  #open(kind: Kind, error: unknown): void {
    if (!this.#isClosed) return;
    const { metrics, log } = this.#needs;
    this.#isClosed = false;
    this.#closed = Promise.withResolvers();
    metrics.count("table_outages_total");
    metrics.gauge("table_away", 1);
    log("error", "table.away", { error });
    void this.#probeUntilAvailable(kind, false);
  }

  /**
   * Probes with exponential backoff and jitter, then closes the breaker. `isFirst`: true at the start of the
   * worker.
   */
  async #probeUntilAvailable(kind: Kind, isFirst: boolean): Promise<void> {
    const { random, sleep, stop, log, metrics, onProbe } = this.#needs;
    let waitMs = PROBE_MS_MIN;
    while (!stop.aborted) {
      try {
        await this.#probe(kind);
        break;
      } catch (error) {
        onProbe();
        if (!isOutage(error)) break; // throttling or a false condition shows that the table responded
        if (isFirst && waitMs === PROBE_MS_MIN) log("error", "table.away", { error });
        metrics.gauge("table_away", 1);
        await sleep(waitMs * (0.5 + random()), stop);
        waitMs = Math.min(waitMs * 2, PROBE_MS_MAX);
      }
    }
    this.#isClosed = true;
    metrics.gauge("table_away", 0);
    if (!isFirst) log("info", "table.back");
    this.#closed.resolve();
  }

  #probe(kind: Kind): Promise<unknown> {
    const key = { TableName: this.#needs.table, Key: marshalItem(tenantKey(PROBE_TENANT)) };
    if (kind === "read") return this.#dynamo("GetItem", key);
    return this.#dynamo("UpdateItem", {
      ...key,
      UpdateExpression: "REMOVE probedAt",
      ConditionExpression: "attribute_exists(PK)",
    });
  }
}
