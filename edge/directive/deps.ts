import type { HeartbeatDeps } from "../heartbeat/deps.ts";
import type { LongPolls } from "./long-polls.ts";

/** Dependencies of long polls for directives. */
export type DirectiveDeps = HeartbeatDeps & {
  /**
   * Long polls of agents. Absent if long polls are disabled, and on workerd, where a request cannot await I/O
   * of another request.
   */
  longPolls?: LongPolls;
  /** Raises the idle timeout of this request's connection. Absent in runtimes without an idle timeout. */
  keepOpen?: (request: Request, seconds: number) => void;
};
