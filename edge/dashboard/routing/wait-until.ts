import type { Context } from "hono";
import type { Env } from "../../request-env.ts";
import type { FleetNumbers, Fleets } from "../overview/fleet-cache.ts";
import type { Background } from "../overview/stale-while-revalidate.ts";

/** Workers end with the answer what nobody asked them to wait for; Bun and Deno have no such context and go on. */
export const backgroundOf =
  (c: Context<Env>): Background =>
  (work) => {
    try {
      c.executionCtx.waitUntil(work);
    } catch {
      // Hono throws where there is none.
    }
  };

/** The fleet in numbers, read on for others when this answer has gone. */
export const numbersFor =
  (c: Context<Env>, fleets: Fleets) =>
  (tenantId: string): Promise<FleetNumbers> =>
    fleets.numbersOf(tenantId, backgroundOf(c));
