import type { Log } from "../../shared/observability/log.ts";
import { type Dynamo, DynamoFault, marshalItem } from "../../shared/table/dynamo.ts";
import { tenantKey } from "../../shared/table/keys.ts";
import type { Metrics } from "./metrics.ts";
import { CIRCUIT_OPEN, isOutage } from "./passing-fault.ts";

const PROBE_MS_MIN = 250;
const PROBE_MS_MAX = 5000;
/**
 * Tenant name for probes; no tenant has it. A read probe uses half a capacity unit, a write probe one unit.
 * The condition of a write probe is never true, so it writes nothing.
 */
const PROBE_TENANT = "probe";
const READS: ReadonlySet<string> = new Set(["BatchGetItem", "DescribeTable", "GetItem", "Query"]);
type Kind = "read" | "write";

export type TableBreaker = {
  /** Throws {@link CIRCUIT_OPEN} immediately while the table is unavailable. */
  dynamo: Dynamo;
  isAvailable(): boolean;
  /** Resolves when the table is available, or when `stop` aborts. */
  whenAvailable(stop: AbortSignal): Promise<void>;
};

type Needs = {
  table: string;
  random: () => number;
  /** Resolves early when the signal aborts. */
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  stop: AbortSignal;
  log: Log;
  metrics: Pick<Metrics, "count" | "gauge">;
  /** Called after each probe: a worker that waits for its table is alive. */
  onProbe: () => void;
};

/**
 * Circuit breaker in front of the table.
 *
 * It opens when a call fails as in an outage and no other call has succeeded in the meantime. It closes when
 * a probe succeeds. A table can serve reads and refuse writes, so a successful read does not count for
 * writes, and the probe after a failed write is a write. It starts open: a worker that starts during an
 * outage receives no messages.
 */
export function createTableBreaker(dynamo: Dynamo, needs: Needs): TableBreaker {
  const { table, random, sleep, stop, log, metrics, onProbe } = needs;
  const succeeded: Record<Kind, number> = { read: 0, write: 0 };
  let closed = Promise.withResolvers<void>();
  let isClosed = false;

  function noteSuccess(kind: Kind): void {
    succeeded.read++;
    if (kind === "write") succeeded.write++;
  }

  function probe(kind: Kind): Promise<unknown> {
    const Key = marshalItem(tenantKey(PROBE_TENANT));
    if (kind === "read") return dynamo("GetItem", { TableName: table, Key });
    return dynamo("UpdateItem", {
      TableName: table,
      Key,
      UpdateExpression: "REMOVE probedAt",
      ConditionExpression: "attribute_exists(PK)",
    });
  }

  async function probeUntilAnswered(kind: Kind, isFirst: boolean): Promise<void> {
    let waitMs = PROBE_MS_MIN;
    while (!stop.aborted) {
      try {
        await probe(kind);
        break;
      } catch (error) {
        onProbe();
        if (!isOutage(error)) break; // throttled, or the condition is false: the table responded
        if (isFirst && waitMs === PROBE_MS_MIN) log("error", "table.away", { error });
        metrics.gauge("table_away", 1);
        await sleep(waitMs * (0.5 + random()), stop);
        waitMs = Math.min(waitMs * 2, PROBE_MS_MAX);
      }
    }
    isClosed = true;
    metrics.gauge("table_away", 0);
    if (!isFirst) log("info", "table.back");
    closed.resolve();
  }

  function open(kind: Kind, error: unknown): void {
    if (!isClosed) return;
    isClosed = false;
    closed = Promise.withResolvers();
    metrics.count("table_outages_total");
    metrics.gauge("table_away", 1);
    log("error", "table.away", { error });
    void probeUntilAnswered(kind, false);
  }

  void probeUntilAnswered("read", true);

  return {
    dynamo: async (operation, input) => {
      if (!isClosed) throw new DynamoFault(CIRCUIT_OPEN);
      const kind = READS.has(operation) ? "read" : "write";
      const before = succeeded[kind];
      try {
        const answer = await dynamo(operation, input);
        noteSuccess(kind);
        return answer;
      } catch (error) {
        if (!isOutage(error)) noteSuccess(kind);
        else if (succeeded[kind] === before) open(kind, error);
        throw error;
      }
    },
    isAvailable: () => isClosed,
    async whenAvailable(signal) {
      while (!isClosed && !signal.aborted) {
        const stopped = Promise.withResolvers<void>();
        const end = () => stopped.resolve();
        signal.addEventListener("abort", end, { once: true });
        await Promise.race([closed.promise, stopped.promise]);
        signal.removeEventListener("abort", end);
      }
    },
  };
}
