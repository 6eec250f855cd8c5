import type { Log } from "../../shared/observability/log.ts";

/** Beyond what any answer takes: three tries at a queue that hangs, a slow body. */
const STOP_MS_MAX = 20_000;

/** A node that was told to stop. */
export type Leaving = {
  hasBegun: () => boolean;
  /** The node says from here on that it is not ready. Resolves when balancers have had time to ask. */
  begin: () => Promise<void>;
};

/** @param drainSeconds how long balancers have */
export function createLeaving(pause: (ms: number) => Promise<void>, drainSeconds: number): Leaving {
  let hasBegun = false;
  return {
    hasBegun: () => hasBegun,
    begin: () => {
      hasBegun = true;
      return pause(drainSeconds * 1000);
    },
  };
}

type Departing = {
  leaving?: Leaving;
  heldPolls?: { end: () => void };
  pause: (ms: number) => Promise<void>;
  log: Log;
};

/**
 * Ends a node in the order that loses no request: it is not ready and closes each connection with its answer, so that
 * those that come go elsewhere; then what it holds is answered, and `stop` waits for what is under way. A socket closed
 * sooner would reset a request on its way to it, and nobody could tell whether that was taken. Returns the exit code:
 * told twice, at once.
 */
export async function leave(deps: Departing, stop: () => Promise<unknown>): Promise<0 | 1> {
  if (deps.leaving?.hasBegun()) return 1;
  await deps.leaving?.begin();
  deps.heldPolls?.end();
  const isDone = await Promise.race([stop().then(() => true), deps.pause(STOP_MS_MAX).then(() => false)]);
  if (isDone) return 0;
  deps.log("error", "edge.stopped-late", { afterSeconds: STOP_MS_MAX / 1000 });
  return 1;
}

/** The answer, after which its connection is closed (RFC 9112 §9.6). */
export async function closing(answer: Response | Promise<Response>): Promise<Response> {
  const response = await answer;
  response.headers.set("connection", "close");
  return response;
}
