import type { AssessDeps } from "../assess/deps.ts";

export type RecordDeps = AssessDeps & {
  /**
   * Keyed mutex: runs work with the same name one after another, so that two receivers of a worker do not
   * write one asset concurrently.
   */
  withLock: (name: string, work: () => Promise<void>) => Promise<void>;
  /** Called after a state that needs an LLM review was stored. */
  reviewDue?: (tenantId: string) => void;
  /** Called after an event was added to the outbox of a tenant, so that the outbox is read immediately. */
  onOutboxEvent: (tenantId: string) => void;
};
