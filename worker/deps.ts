import type { Clock } from "../shared/clock.ts";
import type { Log } from "../shared/log.ts";
import type { Dynamo } from "../shared/table/dynamo.ts";
import type { TenantItem } from "../shared/table/items.ts";
import type { Presences } from "./presences.ts";

/** A message as it came from the queue: nothing of it is trusted yet. */
export type Message = {
  id: string;
  receipt: string;
  body: string;
  kid?: string;
  signature?: string;
  receives: number;
};

/** A text that can never be processed, on its way to the dead-letter queue. */
export type DeadLetter = { body: string; reason: string; origin: string };

export type Queue = {
  /** Up to ten messages; waits up to 20 s for the first. The signal ends the waiting, nothing else. */
  receive(signal: AbortSignal): Promise<Message[]>;
  /** Removes settled messages; one that could not be removed comes again and changes nothing. */
  remove(messages: readonly Message[]): Promise<void>;
  bury(letter: DeadLetter): Promise<void>;
};

export type Deps = {
  clock: Clock;
  log: Log;
  dynamo: Dynamo;
  table: string;
  queue: Queue;
  /** Keys the edge signs with, by kid. */
  queueKeys: ReadonlyMap<string, Uint8Array>;
  presences: Presences;
  tenant: (tenantId: string) => Promise<TenantItem>;
};
