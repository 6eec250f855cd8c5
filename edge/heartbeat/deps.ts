import type { HttpDeps } from "../http/deps.ts";
import type { RateLimit } from "../http/rate-limit.ts";
import type { Instruments } from "../platform/telemetry.ts";
import type { Hashing } from "../runtime/hashing.ts";
import type { PendingActions } from "./pending-actions.ts";
import type { Enqueue } from "./queue-batcher.ts";
import type { SessionKeys } from "./session-key-cache.ts";
import type { ValidatedStates } from "./validated-state-cache.ts";

/** Dependencies of the hot path. It reads no table and knows neither admins nor pages. */
export type HeartbeatDeps = HttpDeps & {
  /** Generates a request id. */
  requestId: () => string;
  /** Puts a heartbeat on the queue. */
  enqueue: Enqueue;
  pendingActions: PendingActions;
  sessionKeys: SessionKeys;
  hashing: Pick<Hashing, "contentDigest">;
  validatedStates: ValidatedStates;
  /** Whether the runtime itself closes idle connections. */
  timesOutSlowBodies: boolean;
  instruments: Instruments;
  limits: {
    /** Heartbeats per asset. */
    device: RateLimit;
    /** Heartbeats per tenant. */
    tenant: RateLimit;
  };
};
