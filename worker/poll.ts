import { mapBounded } from "./bounded.ts";
import type { Deps, Message } from "./deps.ts";
import { type Delivery, readDeliveries } from "./read.ts";
import { record } from "./record.ts";

/** Assets written at the same time, per receiver. */
const ASSETS_AT_ONCE = 24;

/**
 * One round: receive, record, remove what was recorded. A message of which any heartbeat could not be written
 * stays in the queue and comes again. Returns how many heartbeats were settled.
 */
export async function pollOnce(deps: Deps, stop: AbortSignal): Promise<number> {
  const messages = await deps.queue.receive(stop);
  if (messages.length === 0) return 0;
  // From here on nothing stops it: what was received is finished and acknowledged.
  const { deliveries, unread } = await readDeliveries(messages, deps);
  const failed = await recordAll(deliveries, deps);
  for (const message of unread) failed.add(message);
  await deps.queue.remove(messages.filter((message) => !failed.has(message)));
  return deliveries.filter((delivery) => !failed.has(delivery.message)).length;
}

/** Records deliveries, those of one asset in order, and returns the messages that have to come again. */
async function recordAll(deliveries: readonly Delivery[], deps: Deps): Promise<Set<Message>> {
  const byAsset = Map.groupBy(deliveries, (delivery) => `${delivery.tenantId} ${delivery.assetId}`);
  const failed = new Set<Message>();
  await mapBounded([...byAsset.values()], ASSETS_AT_ONCE, async (ofAsset) => {
    ofAsset.sort((a, b) => a.at.localeCompare(b.at) || a.heartbeat.sequence - b.heartbeat.sequence);
    for (const delivery of ofAsset) {
      try {
        await record(delivery, deps);
      } catch (error) {
        const { tenantId, assetId, message } = delivery;
        deps.presences.forget(tenantId, assetId);
        failed.add(message);
        deps.log("error", "heartbeat.not-recorded", { tenantId, assetId, receives: message.receives, error });
      }
    }
  });
  return failed;
}
