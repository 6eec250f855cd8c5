import type { Entry } from "../shared/queue/message.ts";
import { type Heartbeat, heartbeat, LIMITS } from "../shared/wire/heartbeat.ts";
import type { Deps, Message } from "./deps.ts";
import { openMessage } from "./verify.ts";

/** One heartbeat out of a verified message. */
export type Delivery = {
  message: Message;
  tenantId: string;
  assetId: string;
  receivedAt: string;
  /** `sentAt`, or `receivedAt` when the agent's clock is ahead beyond the allowed skew. */
  at: string;
  heartbeat: Heartbeat;
};

/**
 * Opens messages. What can never succeed goes to the dead-letter queue with its reason, one heartbeat of a pack
 * without the others. `unread`: messages that could not even be buried, so they have to come again.
 */
export async function readDeliveries(messages: readonly Message[], deps: Deps) {
  const deliveries: Delivery[] = [];
  const unread = new Set<Message>();
  for (const message of messages) {
    const bury = async (body: string, reason: string) => {
      deps.log("warn", "message.buried", { messageId: message.id, reason });
      await deps.queue.bury({ body, reason, origin: message.id }).catch((error: unknown) => {
        deps.log("error", "message.not-buried", { messageId: message.id, error });
        unread.add(message);
      });
    };
    const opened = openMessage(message, deps.queueKeys);
    if (!opened.ok) {
      await bury(message.body, opened.reason);
      continue;
    }
    for (const entry of opened.pack.entries) {
      const parsed = parseHeartbeat(entry);
      if (parsed) deliveries.push({ message, tenantId: opened.pack.tenantId, ...parsed });
      else await bury(`${entry.assetId} ${entry.body}`, "the heartbeat does not match its schema");
    }
  }
  return { deliveries, unread };
}

function parseHeartbeat({ assetId, receivedAt, body }: Entry) {
  try {
    const parsed = heartbeat.parse(JSON.parse(body));
    const aheadMs = Date.parse(parsed.sentAt) - Date.parse(receivedAt);
    const at = aheadMs > LIMITS.CLOCK_SKEW_SECONDS_MAX * 1000 ? receivedAt : parsed.sentAt;
    return { assetId, receivedAt, at, heartbeat: parsed };
  } catch {
    return undefined;
  }
}
