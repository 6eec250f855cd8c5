import type { Queue } from "../heartbeat/queue-message.ts";
import type { TableBreaker } from "../platform/table-breaker.ts";
import type { RecordDeps } from "../record/deps.ts";

/** Dependencies of the receive loop, including those for recording a heartbeat. */
export type Deps = RecordDeps & {
  queue: Queue;
  /** Keys that the edge signs messages with, by key id. */
  queueKeys: ReadonlyMap<string, Uint8Array>;
  /** Circuit breaker of the table. When absent, the table counts as always available. */
  breaker?: Pick<TableBreaker, "whenAvailable">;
  /** Visibility timeout of a message in progress, in seconds. Extended while the work lasts. */
  visibilitySeconds?: number;
  /** Waits before held messages are retried. Resolves early when the signal aborts. */
  sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  random?: () => number;
};
