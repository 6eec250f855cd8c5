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

/** Dependencies of the app, built in `composition-root.ts`. */
export type Deps = {
  /** Decides which routes this node serves. Dependencies of other roles throw on use. */
  role: NodeRole;
  clock: Clock;
  /** Cryptographically random bytes. */
  random: (length: number) => Uint8Array<ArrayBuffer>;
  /** Generates a request id. */
  requestId: () => string;
  log: Log;
  instruments: Instruments;
  dynamo: Dynamo;
  table: string;
  /** Reads items with authority, such as assets and settings, and verifies their signatures. */
  authority: Authority;
  /** Whether queue and table respond. */
  readiness: () => Promise<Readiness>;
  /** State of a graceful shutdown. Absent on workerd, which moves requests to the next isolate by itself. */
  shutdown?: Shutdown;
  /** Whether the queue refuses message groups, so that this node sends without them (no fair queues). */
  areMessageGroupsRefused: () => boolean;
  /** Current problem with this node's AWS credentials. Undefined if they work. */
  credentialProblem: () => CredentialProblem | undefined;
  /** Puts a heartbeat on the queue. */
  enqueue: Enqueue;
  /** Sends an empty message, so that a worker looks for events of this tenant in the outbox. */
  nudge: (tenantId: string) => Promise<void>;
  /** Allows webhooks over http and to private addresses, for development. */
  allowPrivateWebhooks: boolean;
  /** Download folder of the agent, without a slash at the end. Absent: the enrolment page shows no download command. */
  agentDownloadUrl?: string;
  /** Origin at which browsers and agents reach this site. Absent: see `siteOrigin`. */
  publicOrigin?: string;
  pendingActions: PendingActions;
  /** Absent on workerd, where a request may not await I/O of another one, and if long polls are disabled. */
  longPolls?: LongPolls;
  /** Absent on workerd, where a request may not await I/O of another one. */
  mutex?: KeyedMutex;
  /** Raises the idle timeout of this request's connection, in runtimes that have one. */
  keepOpen?: (request: Request, seconds: number) => void;
  sessionKeys: SessionKeys;
  hashing: Pick<Hashing, "contentDigest">;
  validatedStates: ValidatedStates;
  /** Whether the runtime closes idle connections by itself. */
  timesOutSlowBodies: boolean;
  /** Public control keys. Agents receive them at enrolment. They also verify enrolment tokens. */
  controlJwks: JSONWebKeySet;
  /** Signed set of control keys during a rotation. Agents pin it. */
  controlKeySet?: string;
  /** Source of the catalogue that agents download. */
  catalogue: CatalogueSource;
  /** Private control key. Absent on a node that only ingests and reads. */
  controlKey?: ControlKey;
  /** Signs records of new devices. Absent: the control key does. */
  enrolKey?: ControlKey;
  admin: {
    issuer: string;
    parties: readonly string[];
    /** Whether sessions without `azp` are accepted. */
    allowsMissingParty?: boolean;
    /** Public keys of the identity provider. */
    keys: JWTVerifyGetKey;
    keysState: () => KeysState;
    signInUrl: string;
    /** Renews a session token, which lives for a minute. Absent: the sign-in page does. */
    handshakeUrl?: string;
    /** Keys of CSRF tokens, one per edge secret. The first signs, all verify. */
    csrfKeys: readonly [CryptoKey, ...CryptoKey[]];
    /** Keys of cursors, one per edge secret. The first signs, all verify. */
    cursorKeys: readonly CryptoKey[];
    /** Our role for each role and permission of the identity provider. */
    roles: RoleMap;
  };
  limits: {
    /** Heartbeats, by asset. */
    device: RateLimit;
    /** Heartbeats, by tenant. */
    tenant: RateLimit;
    /** Refused enrolments and sessions, by network (see `networkOf`). */
    address: RateLimit;
    /** Sessions, by asset. */
    session: RateLimit;
    /** Enrolments, by token. */
    enrolment: RateLimit;
    /** Catalogue downloads, by network. */
    catalogue: RateLimit;
    /** Admin API requests, by caller. Requests with API keys also by network, because each costs a read first. */
    admin: RateLimit;
  };
  /** Address of the client, for custody records, logs and rate limits. */
  sourceIp: (request: Request) => string;
  pause: (ms: number) => Promise<void>;
};
