import type { Reason } from "../../shared/queue/message.ts";

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
