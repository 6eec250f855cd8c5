import type { ControlKey } from "../../shared/wire/sign-statement.ts";
import type { ControlDeps } from "../control/deps.ts";
import type { Enqueue } from "../heartbeat/queue-batcher.ts";
import type { SessionKeys } from "../heartbeat/session-key-cache.ts";
import type { RateLimit } from "../http/rate-limit.ts";

/** Dependencies of enrolment and sessions. */
export type EnrolmentDeps = ControlDeps & {
  /** Puts a heartbeat on the queue. */
  enqueue: Enqueue;
  sessionKeys: SessionKeys;
  /** Address of the client, for custody records, logs and rate limits. */
  sourceIp: (request: Request) => string;
  /** Signed set of control keys. Agents pin the keys in it. Absent unless a control key is being rotated. */
  controlKeySet?: string;
  /** Private key that signs records of new devices. If absent, the control key signs them. */
  enrolKey?: ControlKey;
  limits: {
    /** Refused enrolments and sessions per network (see `networkOf`). */
    address: RateLimit;
    /** Sessions per asset. */
    session: RateLimit;
    /** Enrolments per token. */
    enrolment: RateLimit;
  };
};
