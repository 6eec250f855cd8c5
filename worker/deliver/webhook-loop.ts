import type { Log } from "../../shared/observability/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { createTenantLoops } from "../platform/tenant-loops.ts";

const FORWARD_EVERY_MS = 2000;
/** Looks into outboxes at the same time. A look only reads and writes the table. */
const LOOKS_AT_ONCE = 32;

export type Forwarding = {
  /** A tenant whose assets report here: this worker sends its webhooks too. */
  heardOf(tenantId: string): void;
  /** An event of this tenant is waiting: look into its outbox now. */
  told(tenantId: string): void;
  /** Looks into the outboxes beside the heartbeats until the signal aborts. Never rejects. */
  run(stop: AbortSignal): Promise<void>;
};

type Needs = {
  /** Takes up what is due for a tenant. Resolves to true when there is more. */
  forward: (tenantId: string) => Promise<unknown>;
  random: () => number;
  log: Log;
  metrics: Pick<Metrics, "count">;
};

/** Serves the webhooks of each tenant in a loop of its own. A fault is logged, counted and tried again. */
export function createForwarding({ forward, random, log, metrics }: Needs): Forwarding {
  const loops = createTenantLoops({
    look: async (tenantId) => (await forward(tenantId)) === true,
    pauseMs: () => FORWARD_EVERY_MS * (0.5 + random()),
    onFault(tenantId, error) {
      metrics.count("forwards_faulted_total");
      log("error", "webhooks.not-forwarded", { tenantId, error });
    },
    atOnce: LOOKS_AT_ONCE,
  });
  return { heardOf: loops.add, told: loops.wake, run: loops.run };
}
