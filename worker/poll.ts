import { type Entry, REASONS } from "../shared/queue/message.ts";
import type { TenantItem } from "../shared/table/items/tenant.ts";
import { mapBounded } from "./bounded.ts";
import type { DeadLetter, Deps, Message } from "./deps.ts";
import { type Glance, glanceAt } from "./glance.ts";
import type { Load } from "./load.ts";
import { type Delivery, knownDelivery, parseDelivery } from "./read.ts";
import { addsNothing, policyKeyOf, record } from "./record.ts";
import { traced } from "./traced.ts";
import { entryLetterOf, letterOf, openedBytes, openMessage } from "./verify.ts";

/** Assets written at the same time, per receiver. */
const ASSETS_AT_ONCE = 48;
/** While a batch is in work its messages are kept invisible, this long from each time on. */
export const VISIBILITY_SECONDS = 60;
const EXTEND_EVERY_MS = 20_000;
/** A batch that takes longer is let go: its messages come again. */
const EXTENSIONS_MAX = 15;
/** So often a message of an unknown key is left for a worker that knows it; fewer than the queue's own five. */
const UNKNOWN_KEY_RECEIVES = 3;

type Task = { delivery: Delivery; tenant: TenantItem };

/**
 * Told on the way: a receive came to an end, the heartbeats of one more asset are settled or failed, so many messages
 * have to come again.
 */
export type Steps = {
  onReceived?: (messages: number) => void;
  onAsset?: () => void;
  onFailed?: (messages: number) => void;
};

/**
 * One round: receive, record, remove what was recorded. A message of which any heartbeat could not be written
 * stays in the queue and comes again. Returns how many heartbeats were settled.
 */
export async function pollOnce(
  deps: Deps,
  stop: AbortSignal,
  load?: Load,
  steps: Steps = {},
): Promise<number> {
  await load?.room(stop);
  if (stop.aborted) return 0;
  const messages = await deps.queue.receive(stop);
  steps.onReceived?.(messages.length);
  deps.metrics.gauge("last_poll_seconds", Math.floor(deps.clock() / 1000));
  noteAge(messages, deps);
  if (messages.length === 0) return 0;
  const bytes = messages.reduce((sum, { body }) => sum + openedBytes(body), 0);
  load?.take(messages.length, bytes);
  noteLoad(load, deps);
  // From here on nothing stops it: what was received is finished and acknowledged.
  const extending = extendWhileBusy(messages, deps);
  try {
    return await settleAll(messages, deps, steps);
  } finally {
    extending.stop();
    load?.release(messages.length, bytes);
    noteLoad(load, deps);
  }
}

function noteLoad(load: Load | undefined, deps: Deps): void {
  if (!load) return;
  const { messages, bytes } = load.now();
  deps.metrics.gauge("in_flight_messages", messages);
  deps.metrics.gauge("in_flight_bytes", bytes);
}

function noteAge(messages: readonly Message[], deps: Deps): void {
  deps.metrics.count("messages_received_total", messages.length);
  const oldestMs = messages.reduce(
    (least, { sentAtMs }) => (sentAtMs > 0 ? Math.min(least, sentAtMs) : least),
    Number.POSITIVE_INFINITY,
  );
  const ageMs = Number.isFinite(oldestMs) ? Math.max(0, deps.clock() - oldestMs) : 0;
  deps.metrics.gauge("queue_age_seconds", ageMs / 1000);
}

/** Slow work is not work for two: its messages stay invisible until it is done, within a limit. */
function extendWhileBusy(messages: readonly Message[], deps: Deps): { stop(): void } {
  let left = EXTENSIONS_MAX;
  const timer = setInterval(() => {
    if (left-- <= 0) return clearInterval(timer);
    deps.metrics.count("messages_extended_total", messages.length);
    deps.queue.extend(messages, VISIBILITY_SECONDS).catch((error: unknown) => {
      deps.log("warn", "message.not-extended", { messages: messages.length, error });
    });
  }, EXTEND_EVERY_MS);
  return { stop: () => clearInterval(timer) };
}

async function settleAll(messages: readonly Message[], deps: Deps, steps: Steps): Promise<number> {
  const failed = new Set<Message>();
  const tasks: Task[] = [];
  const letters: { message: Message; letter: DeadLetter }[] = [];
  let settled = 0;
  let oldest = "";
  for (const message of messages) {
    try {
      const read = await readMessage(message, deps);
      tasks.push(...read.tasks);
      letters.push(...read.letters.map((letter) => ({ message, letter })));
      settled += read.unchanged;
      if (read.oldest !== "" && (oldest === "" || read.oldest < oldest)) oldest = read.oldest;
      deps.metrics.count("heartbeats_unchanged_total", read.unchanged);
    } catch (error) {
      failed.add(message);
      deps.log("error", "message.not-read", { messageId: message.id, receives: message.receives, error });
    }
  }
  await recordAll(tasks, failed, deps, steps);
  await buryAll(letters, failed, deps);
  await deps.queue.remove(messages.filter((message) => !failed.has(message)));
  const lost = tasks.filter(({ delivery }) => failed.has(delivery.message)).length;
  settled += tasks.length - lost;
  deps.metrics.count("heartbeats_total", settled);
  deps.metrics.count("heartbeats_failed_total", lost);
  if (failed.size > 0) steps.onFailed?.(failed.size);
  if (oldest !== "") deps.metrics.gauge("lag_seconds", Math.max(0, deps.clock() - Date.parse(oldest)) / 1000);
  return settled;
}

/**
 * Sets aside what cannot succeed here, with its reason. After everything else: a dead-letter queue that is away holds
 * no heartbeat back, and a message that has to come again because of another one leaves no letter each time.
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
 * Opens a message. What cannot succeed here becomes a dead letter, one heartbeat of a pack without the others. Throws
 * when another worker may know the key: then the message has to come again.
 */
async function readMessage(message: Message, deps: Deps) {
  const letters: DeadLetter[] = [];
  const opened = openMessage(message, deps.queueKeys);
  if (!opened.ok) {
    if (opened.reason === REASONS.unknownKey && message.receives < UNKNOWN_KEY_RECEIVES)
      throw new Error(`${REASONS.unknownKey}: ${message.kid}`);
    letters.push(letterOf(message, opened.reason));
    return { tasks: [], letters, unchanged: 0, oldest: "" };
  }
  const { tenantId, entries } = opened.pack;
  const tenant = await deps.tenant(tenantId);
  if (entries.length === 0) deps.told(tenantId);
  const tasks: Task[] = [];
  let unchanged = 0;
  let oldest = "";
  for (const entry of entries) {
    const glance = glanceAt(entry);
    const at = glance?.at ?? entry.receivedAt;
    if (oldest === "" || at < oldest) oldest = at;
    if (glance && addsNothing(glance, deps.presences.peek(tenantId, entry.assetId), tenant)) {
      unchanged++;
      continue;
    }
    const delivery = readEntry(entry, glance, { message, tenantId }, tenant, deps);
    if (delivery) tasks.push({ delivery, tenant });
    else letters.push(entryLetterOf(message, tenantId, entry, deps.queueKeys));
  }
  return { tasks, letters, unchanged, oldest };
}

function readEntry(
  entry: Entry,
  glance: Glance | undefined,
  origin: { message: Message; tenantId: string },
  tenant: TenantItem,
  deps: Deps,
): Delivery | undefined {
  const known = deps.presences.peek(origin.tenantId, entry.assetId);
  const isKnown = glance && known?.raw === glance.raw && known.policyKey === policyKeyOf(tenant);
  return isKnown ? knownDelivery(entry, origin, glance) : parseDelivery(entry, origin, glance?.raw);
}

/** Records deliveries, those of one asset in order, and adds the messages that have to come again to `failed`. */
async function recordAll(
  tasks: readonly Task[],
  failed: Set<Message>,
  deps: Deps,
  steps: Steps,
): Promise<void> {
  const byAsset = Map.groupBy(tasks, ({ delivery }) => `${delivery.tenantId} ${delivery.assetId}`);
  await mapBounded([...byAsset], ASSETS_AT_ONCE, async ([name, ofAsset]) => {
    await deps.locked(name, () => recordAsset(ofAsset, failed, deps));
    steps.onAsset?.();
  });
}

async function recordAsset(ofAsset: Task[], failed: Set<Message>, deps: Deps): Promise<void> {
  ofAsset.sort(({ delivery: a }, { delivery: b }) =>
    a.at < b.at ? -1 : a.at > b.at ? 1 : a.sequence - b.sequence,
  );
  for (const { delivery, tenant } of ofAsset) {
    try {
      await traced(delivery, () => record(delivery, tenant, deps));
    } catch (error) {
      const { tenantId, assetId, message } = delivery;
      deps.presences.forget(tenantId, assetId);
      failed.add(message);
      deps.log("error", "heartbeat.not-recorded", { tenantId, assetId, receives: message.receives, error });
    }
  }
}
