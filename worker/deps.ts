import type { Authority } from "../shared/authority/read-authority.ts";
import type { Clock } from "../shared/clock.ts";
import type { Log } from "../shared/log.ts";
import type { Reason } from "../shared/queue/message.ts";
import type { Dynamo } from "../shared/table/dynamo.ts";
import type { TenantItem } from "../shared/table/items/tenant.ts";
import type { Adjudicate } from "./adjudicate.ts";
import type { Metrics } from "./metrics.ts";
import type { Pasts } from "./pasts.ts";
import type { Presences } from "./presences.ts";
import type { TableBreaker } from "./table-breaker.ts";

/** A message as it came from the queue: nothing of it is trusted yet. */
export type Message = {
  id: string;
  receipt: string;
  body: string;
  kid?: string;
  signature?: string;
  receives: number;
  /** When it was put into the queue, in milliseconds since the Unix epoch; 0 when the queue does not say. */
  sentAtMs: number;
};

/** A text that this worker cannot process, on its way to the dead-letter queue; signed when another one might. */
export type DeadLetter = {
  body: string;
  reason: Reason;
  origin: string;
  kid?: string;
  signature?: string;
};

export type Queue = {
  /** Up to ten messages; waits up to 20 s for the first. The signal ends the waiting, nothing else. */
  receive(signal: AbortSignal): Promise<Message[]>;
  /** Removes settled messages; one that could not be removed comes again and changes nothing. */
  remove(messages: readonly Message[]): Promise<void>;
  /** Keeps messages from coming again for that long, from now. */
  extend(messages: readonly Message[], seconds: number): Promise<void>;
  bury(letter: DeadLetter): Promise<void>;
};

export type Deps = {
  clock: Clock;
  log: Log;
  dynamo: Dynamo;
  table: string;
  /** Reads items that grant or decide, and checks who signed them. */
  authority: Authority;
  queue: Queue;
  /** Keys the edge signs with, by kid. */
  queueKeys: ReadonlyMap<string, Uint8Array>;
  presences: Presences;
  pasts: Pasts;
  metrics: Metrics;
  /** One at a time for each name: two receivers of a worker do not race for one asset. */
  locked: (name: string, work: () => Promise<void>) => Promise<void>;
  /** Adds the language model's verdict where it is known, else a mark that it is to be asked. */
  adjudicate: Adjudicate;
  /** A state of this tenant was stored that the language model is to be asked about. */
  reviewDue?: (tenantId: string) => void;
  /** Waits before round `round` of something that lost a race or was throttled: longer each time, with jitter. */
  pause: (round: number) => Promise<void>;
  /** Says when the table is away. Absent: it never is. */
  breaker?: Pick<TableBreaker, "whenAvailable">;
  /** For how long a message in work is hidden from other receivers; extended while the work lasts. */
  visibilitySeconds?: number;
  /** For the pauses of held messages; ends early when the signal aborts. */
  sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  random?: () => number;
  tenant: (tenantId: string) => Promise<TenantItem>;
  /** Something of this tenant's waits in the outbox, says the edge: the next look there is at once. */
  told: (tenantId: string) => void;
};
