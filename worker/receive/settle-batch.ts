import { parseCopySighting } from "../../shared/queue/copy-sighting.ts";
import { type Entry, REASONS } from "../../shared/queue/message.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import { type Delivery, knownDelivery, parseDelivery } from "../heartbeat/parse-heartbeat.ts";
import { type HeartbeatPreview, previewHeartbeat } from "../heartbeat/preview-heartbeat.ts";
import type { DeadLetter, Message } from "../heartbeat/queue-message.ts";
import { policyKeyOf } from "../heartbeat/state-hash.ts";
import { deadLetterOf, deadLetterOfEntry, type Opened, openMessage } from "../heartbeat/verify-message.ts";
import { mapBounded } from "../platform/map-concurrent.ts";
import { isTransient } from "../platform/transient-error.ts";
import { addsNothing, recordHeartbeat } from "../record/record-heartbeat.ts";
import { recordSighting } from "../record/record-sighting.ts";
import type { Deps } from "./deps.ts";
import { traced } from "./tracing.ts";

/** Maximum number of assets that are written concurrently, per tenant and batch. */
const ASSETS_AT_ONCE = 48;
/**
 * Number of receives after which a message with an unknown key becomes a dead letter. Until then it stays in
 * the queue for a worker that knows the key. The number is below the redrive limit of the queue (5).
 */
const UNKNOWN_KEY_RECEIVES = 3;
/** Interval in milliseconds at which settled messages are deleted while other messages of their batch are slow. */
const REMOVE_EVERY_MS = 500;

type OpenedMessage = { message: Message; opened: Opened };
type Task = { delivery: Delivery; tenant: TenantItem };

export type Settled = {
  /** Number of heartbeats that are recorded in the table. */
  heartbeats: number;
  /** Messages that only a later delivery can settle, for example because their key is still unknown. */
  failed: Message[];
  /**
   * Messages that could not be settled because a dependency (the table, the tenant settings or the queue)
   * failed temporarily.
   */
  held: Message[];
};

type Batch = {
  deps: Deps;
  /** Number of heartbeats that are not settled yet, by message. */
  open: Map<Message, number>;
  failed: Set<Message>;
  held: Set<Message>;
  letters: { message: Message; letter: DeadLetter }[];
  /** Settled messages that are not deleted from the queue yet. */
  done: Message[];
};

/**
 * Settles the messages of each tenant concurrently, so that settings that are slow to read delay only their
 * own tenant. Calls `onAsset` for each asset that is settled or has failed.
 */
export async function settleBatch(
  messages: readonly Message[],
  deps: Deps,
  onAsset: () => void,
): Promise<Settled> {
  const opened = messages.map((message) => ({ message, opened: openMessage(message, deps.queueKeys) }));
  const byTenant = Map.groupBy(opened, ({ opened }) => (opened.ok ? opened.pack.tenantId : ""));
  const outcomes = await Promise.all(
    [...byTenant.values()].map((ofTenant) => settleTenant(ofTenant, deps, onAsset)),
  );
  return {
    heartbeats: outcomes.reduce((sum, { heartbeats }) => sum + heartbeats, 0),
    failed: outcomes.flatMap(({ failed }) => failed),
    held: outcomes.flatMap(({ held }) => held),
  };
}

/**
 * Records the heartbeats of the messages. Deletes each message as soon as its own heartbeats are settled, so
 * that a slow asset delays only its own message.
 */
async function settleTenant(
  messages: readonly OpenedMessage[],
  deps: Deps,
  onAsset: () => void,
): Promise<Settled> {
  const batch: Batch = {
    deps,
    open: new Map(),
    failed: new Set(),
    held: new Set(),
    letters: [],
    done: [],
  };
  const { tasks, unchanged, oldest } = await readAll(messages, batch);
  const removing = setInterval(() => void removeDone(batch), REMOVE_EVERY_MS);
  try {
    for (const { message } of messages) if (!batch.open.has(message)) await finish(message, batch);
    await recordAll(tasks, batch, onAsset);
  } finally {
    clearInterval(removing);
  }
  await removeDone(batch);
  // Heartbeats of a held message are counted when that message is settled.
  const isSettled = (message: Message) => !batch.failed.has(message) && !batch.held.has(message);
  const recorded = tasks.filter(({ delivery }) => isSettled(delivery.message)).length;
  const repeated = messages.reduce(
    (sum, { message }) => sum + (isSettled(message) ? (unchanged.get(message) ?? 0) : 0),
    0,
  );
  const heartbeats = recorded + repeated;
  deps.metrics.count("heartbeats_total", heartbeats);
  deps.metrics.count("heartbeats_unchanged_total", repeated);
  deps.metrics.count(
    "heartbeats_failed_total",
    tasks.filter(({ delivery }) => batch.failed.has(delivery.message)).length,
  );
  if (oldest !== "") deps.metrics.gauge("lag_seconds", Math.max(0, deps.clock() - Date.parse(oldest)) / 1000);
  return { heartbeats, failed: [...batch.failed], held: [...batch.held] };
}

async function readAll(messages: readonly OpenedMessage[], batch: Batch) {
  const { deps, failed, held, open, letters } = batch;
  const tasks: Task[] = [];
  const unchanged = new Map<Message, number>();
  let oldest = "";
  for (const { message, opened } of messages) {
    try {
      const read = await readMessage(message, opened, deps);
      tasks.push(...read.tasks);
      letters.push(...read.letters.map((letter) => ({ message, letter })));
      if (read.tasks.length > 0) open.set(message, read.tasks.length);
      unchanged.set(message, read.unchanged);
      if (read.oldest !== "" && (oldest === "" || read.oldest < oldest)) oldest = read.oldest;
    } catch (error) {
      (isTransient(error) ? held : failed).add(message);
      deps.log("error", "message.not-read", { messageId: message.id, receives: message.receives, error });
    }
  }
  return { tasks, unchanged, oldest };
}

/** Completes a message whose heartbeats are settled: writes its dead letters, and marks the message for deletion. */
async function finish(message: Message, batch: Batch): Promise<void> {
  const { failed, held, done, letters, deps } = batch;
  if (failed.has(message) || held.has(message)) return;
  const own = letters.filter((one) => one.message === message);
  await buryAll(own, failed, deps);
  if (!failed.has(message)) done.push(message);
}

/**
 * Deletes settled messages. A message that cannot be deleted is held. Its heartbeats are recorded, so another
 * delivery changes nothing.
 */
async function removeDone({ done, held, deps }: Batch): Promise<void> {
  const messages = done.splice(0);
  if (messages.length === 0) return;
  try {
    await deps.queue.remove(messages);
  } catch (error) {
    for (const message of messages) held.add(message);
    deps.log("warn", "message.not-removed", { messages: messages.length, error });
  }
}

/**
 * Sends dead letters, each with its reason. It is called when all heartbeats of a message are settled, so
 * that a message that is delivered again does not produce a second dead letter.
 */
async function buryAll(
  letters: readonly { message: Message; letter: DeadLetter }[],
  failed: Set<Message>,
  deps: Deps,
): Promise<void> {
  for (const { message, letter } of letters) {
    if (failed.has(message)) continue;
    const { reason } = letter;
    try {
      await deps.queue.bury(letter);
      deps.log("warn", "message.buried", { messageId: message.id, reason });
      deps.metrics.count("messages_buried_total");
    } catch (error) {
      failed.add(message);
      deps.log("error", "message.not-buried", { messageId: message.id, reason, error });
    }
  }
}

/**
 * Parses an opened message. A heartbeat that this worker can never record becomes a dead letter, and the rest
 * of its pack is recorded. Throws if another worker may know the signing key, so that the message is
 * delivered again.
 */
async function readMessage(message: Message, opened: Opened, deps: Deps) {
  const letters: DeadLetter[] = [];
  if (!opened.ok) {
    if (opened.reason === REASONS.unknownKey && message.receives < UNKNOWN_KEY_RECEIVES)
      throw new Error(`${REASONS.unknownKey}: ${message.kid}`);
    letters.push(deadLetterOf(message, opened.reason));
    return { tasks: [], letters, unchanged: 0, oldest: "" };
  }
  const { tenantId, entries } = opened.pack;
  const tenant = await deps.tenant(tenantId);
  if (entries.length === 0) deps.onOutboxEvent(tenantId);
  const tasks: Task[] = [];
  let unchanged = 0;
  let oldest = "";
  for (const entry of entries) {
    const preview = previewHeartbeat(entry);
    const at = preview?.at ?? entry.receivedAt;
    if (oldest === "" || at < oldest) oldest = at;
    if (preview && addsNothing(preview, deps.presences.peek(tenantId, entry.assetId), tenant)) {
      unchanged++;
      continue;
    }
    const sighting = preview ? undefined : parseCopySighting(entry.body);
    if (sighting) {
      const { assetId, receivedAt } = entry;
      await deps.withLock(`${tenantId} ${assetId}`, () =>
        recordSighting({ tenantId, assetId, receivedAt }, sighting, tenant, deps),
      );
      continue;
    }
    const delivery = readEntry(entry, preview, { message, tenantId }, tenant, deps);
    if (delivery) tasks.push({ delivery, tenant });
    else letters.push(deadLetterOfEntry(message, tenantId, entry, deps.queueKeys));
  }
  return { tasks, letters, unchanged, oldest };
}

function readEntry(
  entry: Entry,
  preview: HeartbeatPreview | undefined,
  origin: { message: Message; tenantId: string },
  tenant: TenantItem,
  deps: Deps,
): Delivery | undefined {
  const known = deps.presences.peek(origin.tenantId, entry.assetId);
  const isKnown = preview && known?.raw === preview.raw && known.policyKey === policyKeyOf(tenant);
  return isKnown ? knownDelivery(entry, origin, preview) : parseDelivery(entry, origin, preview?.raw);
}

/**
 * Records heartbeats. Heartbeats of one asset are recorded in order, and different assets are recorded
 * concurrently.
 */
async function recordAll(tasks: readonly Task[], batch: Batch, onAsset: () => void): Promise<void> {
  const byAsset = Map.groupBy(tasks, ({ delivery }) => `${delivery.tenantId} ${delivery.assetId}`);
  await mapBounded([...byAsset], ASSETS_AT_ONCE, async ([name, ofAsset]) => {
    await batch.deps.withLock(name, () => recordAsset(ofAsset, batch));
    onAsset();
    for (const { delivery } of ofAsset) {
      const { message } = delivery;
      const left = batch.open.get(message)! - 1;
      batch.open.set(message, left);
      if (left === 0) await finish(message, batch);
    }
  });
}

async function recordAsset(ofAsset: Task[], { deps, failed, held }: Batch): Promise<void> {
  ofAsset.sort(({ delivery: a }, { delivery: b }) =>
    a.at < b.at ? -1 : a.at > b.at ? 1 : a.sequence - b.sequence,
  );
  let isHeld = false;
  for (const { delivery, tenant } of ofAsset) {
    const { tenantId, assetId, message } = delivery;
    // The next heartbeat of this asset would be refused too, after another timeout of 8 seconds. Hold it
    // without an attempt.
    if (isHeld) {
      held.add(message);
      continue;
    }
    try {
      await traced(delivery, () => recordHeartbeat(delivery, tenant, deps));
    } catch (error) {
      deps.presences.forget(tenantId, assetId);
      isHeld = isTransient(error);
      (isHeld ? held : failed).add(message);
      deps.log("error", "heartbeat.not-recorded", { tenantId, assetId, receives: message.receives, error });
    }
  }
}
