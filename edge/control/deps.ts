import type { JSONWebKeySet } from "jose";
import type { KeyedMutex } from "../../shared/keyed-mutex.ts";
import type { ControlKey } from "../../shared/wire/sign-statement.ts";
import type { AuthDeps } from "../auth/deps.ts";
import type { PendingActions } from "../heartbeat/pending-actions.ts";

/** Dependencies of reads and changes by admins. */
export type ControlDeps = AuthDeps & {
  /** Returns cryptographically random bytes. */
  random: (length: number) => Uint8Array<ArrayBuffer>;
  pause: (ms: number) => Promise<void>;
  /**
   * Keyed mutex that orders the writes of this node. Absent on workerd, where a request cannot await I/O of
   * another request.
   */
  mutex?: KeyedMutex;
  pendingActions: PendingActions;
  /** Sends a queue message without heartbeats. The worker that receives the message reads the tenant's outbox. */
  nudge: (tenantId: string) => Promise<void>;
  /** For development: allows webhooks over http and to private addresses. */
  allowPrivateWebhooks: boolean;
  /** Private control key. Absent on a node that cannot make changes. */
  controlKey?: ControlKey;
  /** Public control keys. Agents receive them at enrolment, and the edge verifies enrolment tokens with them. */
  controlJwks: JSONWebKeySet;
  admin: {
    /** Keys of cursors, one for each edge secret. The first key signs, and all keys verify. */
    cursorKeys: readonly CryptoKey[];
  };
};
