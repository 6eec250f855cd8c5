import type { Context } from "hono";
import type { Env } from "../../request-env.ts";
import type { FleetNumbers, Fleets } from "../overview/fleet-cache.ts";
import type { Background } from "../overview/stale-while-revalidate.ts";

/**
 * Returns a function that keeps work running after the response. Workers cancel such work unless `waitUntil`
 * is called. Bun and Deno do not cancel it.
 */
export const backgroundOf =
  (c: Context<Env>): Background =>
  (work) => {
    try {
      c.executionCtx.waitUntil(work);
    } catch {
      // Hono throws if the runtime has no execution context.
    }
  };

/** Returns fleet counts for this request. A background refresh may continue after the response. */
export const numbersFor =
  (c: Context<Env>, fleets: Fleets) =>
  (tenantId: string): Promise<FleetNumbers> =>
    fleets.numbersOf(tenantId, backgroundOf(c));
