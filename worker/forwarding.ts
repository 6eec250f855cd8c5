import type { Log } from "../shared/log.ts";
import { mapBounded } from "./bounded.ts";
import type { Metrics } from "./metrics.ts";

const FORWARD_EVERY_MS = 2000;
const TENANTS_AT_ONCE = 8;

export type Forwarding = {
  /** A tenant whose assets report here: its webhooks are this worker's to serve too. */
  heardOf(tenantId: string): void;
  /** Something of it waits: the next look is now. */
  told(tenantId: string): void;
  /** Looks into the outboxes, beside the heartbeats and never in their way, until told to stop. Never rejects. */
  run(stop: AbortSignal): Promise<void>;
};

type Needs = {
  /** Sends what is due for a tenant. */
  forward: (tenantId: string) => Promise<unknown>;
  random: () => number;
  log: Log;
  metrics: Pick<Metrics, "count">;
};

/** The loop that serves webhooks. A fault is told, counted and tried again; it holds no other tenant back. */
export function createForwarding({ forward, random, log, metrics }: Needs): Forwarding {
  const tenants = new Set<string>();
  let isWaiting = false;
  let wake = () => {};

  async function pause(stop: AbortSignal): Promise<void> {
    if (isWaiting || stop.aborted) {
      isWaiting = false;
      return;
    }
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        stop.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, FORWARD_EVERY_MS * (0.5 + random()));
      stop.addEventListener("abort", done, { once: true });
      wake = done;
    });
    isWaiting = false;
  }

  return {
    heardOf: (tenantId) => void tenants.add(tenantId),
    told(tenantId) {
      tenants.add(tenantId);
      isWaiting = true;
      wake();
    },
    async run(stop) {
      while (!stop.aborted) {
        await mapBounded([...tenants], TENANTS_AT_ONCE, async (tenantId) => {
          try {
            await forward(tenantId);
          } catch (error) {
            metrics.count("forwards_faulted_total");
            log("error", "webhooks.not-forwarded", { tenantId, error });
          }
        });
        await pause(stop);
      }
    },
  };
}
