import type { JSONWebKeySet, JWTVerifyGetKey } from "jose";
import type { Authority } from "../shared/authority/read-authority.ts";
import type { Log } from "../shared/observability/log.ts";
import type { Dynamo } from "../shared/table/dynamo.ts";
import type { Clock } from "../shared/time/clock.ts";
import type { ControlKey } from "../shared/wire/sign-statement.ts";
import type { KeysState } from "./auth/issuer-keys.ts";
import type { RoleMap } from "./auth/permissions.ts";
import type { CatalogueSource } from "./catalogue/catalogue-source.ts";
import type { CredentialProblem } from "./credentials/types.ts";
import type { HeldPolls } from "./directive/long-polls.ts";
import type { OpenActions } from "./heartbeat/pending-actions.ts";
import type { Enqueue } from "./heartbeat/queue-batcher.ts";
import type { SessionKeys } from "./heartbeat/session-key-cache.ts";
import type { SeenStates } from "./heartbeat/validated-state-cache.ts";
import type { Leaving } from "./http/graceful-shutdown.ts";
import type { RateLimit } from "./http/rate-limit.ts";
import type { Readiness } from "./http/readiness.ts";
import type { Turns } from "./platform/keyed-mutex.ts";
import type { NodeRole } from "./platform/node-role.ts";
import type { Instruments } from "./platform/telemetry.ts";
import type { Hashing } from "./runtime/hashing.ts";

/** All that the app asks of the world. Entry files build it; see `composition-root.ts`. */
export type Deps = {
  /** Which routes this node serves. Parts of the dependencies that other roles use throw when they are used. */
  role: NodeRole;
  clock: Clock;
  /** Cryptographically random bytes. */
  random: (length: number) => Uint8Array<ArrayBuffer>;
  /** A new id of a request. */
  requestId: () => string;
  log: Log;
  instruments: Instruments;
  dynamo: Dynamo;
  table: string;
  /** Reads items that grant or decide, and checks who signed them. */
  authority: Authority;
  /** Whether queue and table answer. */
  readiness: () => Promise<Readiness>;
  /** Absent where the runtime moves requests to the next isolate by itself. */
  leaving?: Leaving;
  /** Whether the queue refused a message for its group, so that this node sends without groups (no fair queues). */
  areMessageGroupsRefused: () => boolean;
  /** What is wrong with this node's AWS credentials. */
  credentialProblem: () => CredentialProblem | undefined;
  enqueue: Enqueue;
  /** Tells the workers through the queue that an event of this tenant waits in the outbox. */
  nudge: (tenantId: string) => Promise<void>;
  /** Webhooks may go to private addresses, and over http: for development. */
  allowPrivateWebhooks: boolean;
  /** Where agents can be taken from, without a slash at its end; absent: the enrolment page says to bring them. */
  agentDownloadUrl?: string;
  /** Origin at which browsers and agents reach this site; absent: see `siteOrigin`. */
  publicOrigin?: string;
  openActions: OpenActions;
  /** Absent where the runtime cannot hold a request for another one to answer. */
  heldPolls?: HeldPolls;
  /** Absent where a request may not wait for another one's I/O. */
  turns?: Turns;
  /** Lets this request's connection be silent for so many seconds, where the runtime would close it. */
  keepOpen?: (request: Request, seconds: number) => void;
  sessionKeys: SessionKeys;
  hashing: Pick<Hashing, "contentDigest">;
  seenStates: SeenStates;
  /** The runtime itself ends a connection on which nothing moves. */
  timesOutSlowBodies: boolean;
  /** Public control keys: handed to agents at enrolment, and they verify enrolment tokens. */
  controlJwks: JSONWebKeySet;
  /** Signed set of control keys the agents have to pin from now on, while one is being rotated. */
  controlKeySet?: string;
  /** What agents update their catalogue from. */
  catalogue: CatalogueSource;
  /** Absent on a node that only ingests and reads. */
  controlKey?: ControlKey;
  /** Signs the records of devices that enrol. Absent: the control key does. */
  enrolKey?: ControlKey;
  admin: {
    issuer: string;
    parties: readonly string[];
    /** Sessions without `azp` are accepted. */
    allowsMissingParty?: boolean;
    keys: JWTVerifyGetKey;
    keysState: () => KeysState;
    signInUrl: string;
    /** Where a session of a minute is renewed; absent: where one signs in. */
    handshakeUrl?: string;
    /** Keys of the CSRF tokens, one per edge secret: the first signs, all verify. */
    csrfKeys: readonly [CryptoKey, ...CryptoKey[]];
    /** Keys of the cursors, one per edge secret: the first signs, all verify. */
    cursorKeys: readonly CryptoKey[];
    /** What the identity provider's roles and permissions stand for. */
    roles: RoleMap;
  };
  limits: {
    /** Heartbeats, by asset. */
    device: RateLimit;
    /** Heartbeats, by tenant. */
    tenant: RateLimit;
    /** Refused enrolments and sessions, by network: see `networkOf`. */
    address: RateLimit;
    /** Sessions, by asset. */
    session: RateLimit;
    /** Enrolments, by token. */
    enrolment: RateLimit;
    /** Documents of the catalogue, by network. */
    catalogue: RateLimit;
    /** The admin API, by caller; and API keys, which cost a read before they are known, by address too. */
    admin: RateLimit;
  };
  /** Address of the peer, for the custody record and the log. */
  sourceIp: (request: Request) => string;
  pause: (ms: number) => Promise<void>;
};
