import type { Log } from "../../shared/observability/log.ts";

/**
 * Maximum duration of a shutdown after draining. The limit is longer than any response takes, including three
 * tries to reach an unresponsive queue, or a slow request body.
 */
const STOP_MS_MAX = 20_000;

/** State of a graceful shutdown. */
export type Shutdown = {
  hasBegun: () => boolean;
  /**
   * Starts draining, which means that the node reports that it is not ready. Resolves after load balancers
   * have had time to notice.
   */
  begin: () => Promise<void>;
};

/** @param drainSeconds time in which load balancers can notice that the node is not ready */
export function createShutdown(pause: (ms: number) => Promise<void>, drainSeconds: number): Shutdown {
  let hasBegun = false;
  return {
    hasBegun: () => hasBegun,
    begin: () => {
      hasBegun = true;
      return pause(drainSeconds * 1000);
    },
  };
}

type ShutdownDeps = {
  shutdown?: Shutdown;
  longPolls?: { end: () => void };
  pause: (ms: number) => Promise<void>;
  log: Log;
};

/**
 * Shuts down without losing requests. First the node drains: it reports that it is not ready, and closes each
 * connection after its response, so that new requests go to other nodes. Then it ends the open long polls,
 * and `stop` waits for requests in flight. Closing the socket earlier would reset requests in transit. Their
 * clients could not know whether the requests were processed.
 *
 * @returns exit code: 0, or 1 after {@link STOP_MS_MAX}. A second call returns 1 immediately.
 */
export async function shutDown(deps: ShutdownDeps, stop: () => Promise<unknown>): Promise<0 | 1> {
  if (deps.shutdown?.hasBegun()) return 1;
  await deps.shutdown?.begin();
  deps.longPolls?.end();
  const isDone = await Promise.race([stop().then(() => true), deps.pause(STOP_MS_MAX).then(() => false)]);
  if (isDone) return 0;
  deps.log("error", "edge.stopped-late", { afterSeconds: STOP_MS_MAX / 1000 });
  return 1;
}

/** Adds `Connection: close`, which closes the connection after the response (RFC 9112 §9.6). */
export async function closing(responding: Response | Promise<Response>): Promise<Response> {
  const response = await responding;
  response.headers.set("connection", "close");
  return response;
}
