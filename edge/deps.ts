import type { KeysState } from "./auth/issuer-keys.ts";
import type { CatalogueDeps } from "./catalogue/deps.ts";
import type { CredentialProblem } from "./credentials/types.ts";
import type { DashboardDeps } from "./dashboard/deps.ts";
import type { DirectiveDeps } from "./directive/deps.ts";
import type { EnrolmentDeps } from "./enrolment/deps.ts";
import type { HeartbeatDeps } from "./heartbeat/deps.ts";
import type { Shutdown } from "./http/graceful-shutdown.ts";
import type { Readiness } from "./http/readiness.ts";
import type { NodeRole } from "./platform/node-role.ts";

/** Dependencies of the app: those of its folders, and those of `app.ts`. `composition-root.ts` builds them. */
export type Deps = HeartbeatDeps &
  DirectiveDeps &
  CatalogueDeps &
  EnrolmentDeps &
  DashboardDeps & {
    /**
     * The node's role. It determines which routes this node serves. Dependencies that only other roles need
     * throw when used.
     */
    role: NodeRole;
    /** Whether the queue and the table respond. */
    readiness: () => Promise<Readiness>;
    /** State of the graceful shutdown. Absent on workerd, which itself sends new requests to the next isolate. */
    shutdown?: Shutdown;
    /** Whether the queue refuses message groups. This node then sends messages without them (no fair queues). */
    areMessageGroupsRefused: () => boolean;
    /** Returns the current problem with this node's AWS credentials. Undefined if they work. */
    credentialProblem: () => CredentialProblem | undefined;
    admin: {
      keysState: () => KeysState;
    };
  };
