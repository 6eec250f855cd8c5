import type { Queue } from "../heartbeat/queue-message.ts";
import type { TableBreaker } from "../platform/table-breaker.ts";
import type { RecordDeps } from "../record/deps.ts";

/** Dependencies of the receive loop, including those for recording a heartbeat. */
export type Deps = RecordDeps & {
  queue: Queue;
  /** Keys with which the edge signs messages, by key id. */
  queueKeys: ReadonlyMap<string, Uint8Array>;
  /** Circuit breaker of the table. If absent, the table always counts as available. */
  breaker?: Pick<TableBreaker, "whenAvailable">;
  /**
   * Visibility timeout of a message in progress, in seconds. The worker extends the timeout until the message
   * is settled.
   */
  visibilitySeconds?: number;
  /** Waits before held messages are retried. Resolves early if the signal aborts. */
  sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  random?: () => number;
};
