import type { JSONWebKeySet, JWTVerifyGetKey } from "jose";
import type { Authority } from "../shared/authority/read-authority.ts";
import type { KeyedMutex } from "../shared/keyed-mutex.ts";
import type { Log } from "../shared/observability/log.ts";
import type { Dynamo } from "../shared/table/dynamo.ts";
import type { Clock } from "../shared/time/clock.ts";
import type { ControlKey } from "../shared/wire/sign-statement.ts";
import type { KeysState } from "./auth/issuer-keys.ts";
import type { RoleMap } from "./auth/permissions.ts";
import type { CatalogueSource } from "./catalogue/catalogue-source.ts";
import type { CredentialProblem } from "./credentials/types.ts";
import type { LongPolls } from "./directive/long-polls.ts";
import type { PendingActions } from "./heartbeat/pending-actions.ts";
import type { Enqueue } from "./heartbeat/queue-batcher.ts";
import type { SessionKeys } from "./heartbeat/session-key-cache.ts";
import type { ValidatedStates } from "./heartbeat/validated-state-cache.ts";
import type { Shutdown } from "./http/graceful-shutdown.ts";
import type { RateLimit } from "./http/rate-limit.ts";
import type { Readiness } from "./http/readiness.ts";
import type { NodeRole } from "./platform/node-role.ts";
import type { Instruments } from "./platform/telemetry.ts";
import type { Hashing } from "./runtime/hashing.ts";

/** Dependencies of the app. `composition-root.ts` builds them. */
export type Deps = {
  /**
   * The node's role. It determines which routes this node serves. Dependencies that only other roles need
   * throw when used.
   */
  role: NodeRole;
  clock: Clock;
  /** Returns cryptographically random bytes. */
  random: (length: number) => Uint8Array<ArrayBuffer>;
  /** Generates a request id. */
  requestId: () => string;
  log: Log;
  instruments: Instruments;
  dynamo: Dynamo;
  table: string;
  /** Reads items with authority, such as assets and settings, and verifies their signatures. */
  authority: Authority;
  /** Whether the queue and the table respond. */
  readiness: () => Promise<Readiness>;
  /** State of the graceful shutdown. Absent on workerd, which itself sends new requests to the next isolate. */
  shutdown?: Shutdown;
  /** Whether the queue refuses message groups. This node then sends messages without them (no fair queues). */
  areMessageGroupsRefused: () => boolean;
  /** Returns the current problem with this node's AWS credentials. Undefined if they work. */
  credentialProblem: () => CredentialProblem | undefined;
  /** Puts a heartbeat on the queue. */
  enqueue: Enqueue;
  /** Sends a queue message without heartbeats. The worker that receives the message reads the tenant's outbox. */
  nudge: (tenantId: string) => Promise<void>;
  /** For development: allows webhooks over http and to private addresses. */
  allowPrivateWebhooks: boolean;
  /**
   * URL of the folder from which the agent can be downloaded, without a trailing slash. If absent, the
   * enrolment page shows no download command.
   */
  agentDownloadUrl?: string;
  /**
   * Origin at which browsers and agents reach this site. If absent, `siteOrigin` determines the origin from
   * the request.
   */
  publicOrigin?: string;
  pendingActions: PendingActions;
  /**
   * Long polls of agents. Absent if long polls are disabled, and on workerd, where a request cannot await I/O
   * of another request.
   */
  longPolls?: LongPolls;
  /**
   * Keyed mutex that orders the writes of this node. Absent on workerd, where a request cannot await I/O of
   * another request.
   */
  mutex?: KeyedMutex;
  /** Raises the idle timeout of this request's connection. Absent in runtimes without an idle timeout. */
  keepOpen?: (request: Request, seconds: number) => void;
  sessionKeys: SessionKeys;
  hashing: Pick<Hashing, "contentDigest">;
  validatedStates: ValidatedStates;
  /** Whether the runtime itself closes idle connections. */
  timesOutSlowBodies: boolean;
  /** Public control keys. Agents receive them at enrolment, and the edge verifies enrolment tokens with them. */
  controlJwks: JSONWebKeySet;
  /** Signed set of control keys. Agents pin the keys in it. Absent unless a control key is being rotated. */
  controlKeySet?: string;
  /** Source of the catalogue that agents download. */
  catalogue: CatalogueSource;
  /** Private control key. Absent on a node that cannot make changes. */
  controlKey?: ControlKey;
  /** Private key that signs records of new devices. If absent, the control key signs them. */
  enrolKey?: ControlKey;
  admin: {
    issuer: string;
    parties: readonly string[];
    /** Whether sessions without the `azp` claim are accepted. */
    allowsMissingParty?: boolean;
    /** Public keys of the identity provider. */
    keys: JWTVerifyGetKey;
    keysState: () => KeysState;
    signInUrl: string;
    /**
     * URL at which the identity provider renews a session token. Session tokens are valid for one minute. If
     * absent, the sign-in page renews the token.
     */
    handshakeUrl?: string;
    /** Keys of CSRF tokens, one for each edge secret. The first key signs, and all keys verify. */
    csrfKeys: readonly [CryptoKey, ...CryptoKey[]];
    /** Keys of cursors, one for each edge secret. The first key signs, and all keys verify. */
    cursorKeys: readonly CryptoKey[];
    /** The LifecycleZero role for each role and permission name of the identity provider. */
    roles: RoleMap;
  };
  limits: {
    /** Heartbeats per asset. */
    device: RateLimit;
    /** Heartbeats per tenant. */
    tenant: RateLimit;
    /** Refused enrolments and sessions per network (see `networkOf`). */
    address: RateLimit;
    /** Sessions per asset. */
    session: RateLimit;
    /** Enrolments per token. */
    enrolment: RateLimit;
    /** Catalogue downloads per network. */
    catalogue: RateLimit;
    /**
     * Admin API requests per caller. Requests with API keys are also limited per network, because each of
     * these requests needs a table read before it is authenticated.
     */
    admin: RateLimit;
  };
  /** Address of the client, for custody records, logs and rate limits. */
  sourceIp: (request: Request) => string;
  pause: (ms: number) => Promise<void>;
};
