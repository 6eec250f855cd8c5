import type { AssessDeps } from "../assess/deps.ts";

export type RecordDeps = AssessDeps & {
  /** One at a time for each name: two receivers of a worker do not race for one asset. */
  locked: (name: string, work: () => Promise<void>) => Promise<void>;
  /** A state of this tenant was stored that the language model is to be asked about. */
  reviewDue?: (tenantId: string) => void;
  /** Something of this tenant's waits in the outbox: the next look there is at once. */
  told: (tenantId: string) => void;
};
