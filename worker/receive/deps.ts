import type { Queue } from "../heartbeat/queue-message.ts";
import type { TableBreaker } from "../platform/table-breaker.ts";
import type { RecordDeps } from "../record/deps.ts";

/** What the receive loop needs, with all that recording a heartbeat needs. */
export type Deps = RecordDeps & {
  queue: Queue;
  /** Keys the edge signs with, by kid. */
  queueKeys: ReadonlyMap<string, Uint8Array>;
  /** Says when the table is away. Absent: it never is. */
  breaker?: Pick<TableBreaker, "whenAvailable">;
  /** For how long a message in work is hidden from other receivers; extended while the work lasts. */
  visibilitySeconds?: number;
  /** For the pauses of held messages; ends early when the signal aborts. */
  sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  random?: () => number;
};
