import type { AssessDeps } from "../assess/deps.ts";

export type RecordDeps = AssessDeps & {
  /**
   * Keyed mutex: runs work of one name one after another, so that two receivers of a worker do not write one
   * asset concurrently.
   */
  withLock: (name: string, work: () => Promise<void>) => Promise<void>;
  /** Called when a state that needs an LLM review was stored. */
  reviewDue?: (tenantId: string) => void;
  /** Called when the outbox of a tenant has a new event, so that it is read immediately. */
  onOutboxEvent: (tenantId: string) => void;
};
