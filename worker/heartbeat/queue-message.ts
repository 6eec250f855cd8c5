import type { Reason } from "../../shared/queue/message.ts";

/** A message as received from the queue, before verification. */
export type Message = {
  id: string;
  receipt: string;
  body: string;
  kid?: string;
  signature?: string;
  receives: number;
  /**
   * Time when the message was sent to the queue, in milliseconds since the Unix epoch. 0 if the queue does
   * not report it.
   */
  sentAtMs: number;
};

/**
 * A message body that this worker cannot process. It keeps its signature if another worker might be able to
 * process it.
 */
export type DeadLetter = {
  body: string;
  reason: Reason;
  origin: string;
  kid?: string;
  signature?: string;
};

export type Queue = {
  /** Receives up to ten messages, with a long poll of up to 20 s. If the signal aborts, only the wait ends. */
  receive(signal: AbortSignal): Promise<Message[]>;
  /**
   * Deletes settled messages. A message that could not be deleted is delivered again, and recording it again
   * changes nothing.
   */
  remove(messages: readonly Message[]): Promise<void>;
  /** Sets the visibility timeout of messages to `seconds` from now. */
  extend(messages: readonly Message[], seconds: number): Promise<void>;
  bury(letter: DeadLetter): Promise<void>;
};
