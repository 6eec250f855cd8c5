import type { Log } from "../../shared/observability/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { createTenantLoops } from "../platform/tenant-loops.ts";

const FORWARD_EVERY_MS = 2000;
/** Maximum number of outboxes that are read concurrently. A read does not wait for receivers. */
const OUTBOXES_MAX = 32;

export type WebhookLoops = {
  /** Adds a tenant whose assets report to this worker. This worker then also sends the tenant's webhooks. */
  add(tenantId: string): void;
  /** Reads the outbox of a tenant immediately, because it has a new event. */
  wake(tenantId: string): void;
  /** Reads the outboxes until the signal aborts, outside the heartbeat path. Never rejects. */
  run(stop: AbortSignal): Promise<void>;
};

type Needs = {
  /** Starts the due deliveries of a tenant. Resolves to true if there are more. */
  forward: (tenantId: string) => Promise<unknown>;
  random: () => number;
  log: Log;
  metrics: Pick<Metrics, "count">;
};

/** Creates one loop per tenant, which sends the tenant's webhooks. An error is logged, counted and retried. */
export function createWebhookLoops({ forward, random, log, metrics }: Needs): WebhookLoops {
  const loops = createTenantLoops({
    runOnce: async (tenantId) => (await forward(tenantId)) === true,
    pauseMs: () => FORWARD_EVERY_MS * (0.5 + random()),
    onFault(tenantId, error) {
      metrics.count("forwards_faulted_total");
      log("error", "webhooks.not-forwarded", { tenantId, error });
    },
    concurrency: OUTBOXES_MAX,
  });
  return { add: loops.add, wake: loops.wake, run: loops.run };
}
