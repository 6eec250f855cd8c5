import { type Entry, encodeEntry, type Line, lineBytes, PACK_BYTES_MAX } from "../../shared/queue/message.ts";
import type { Clock } from "../../shared/time/clock.ts";
import { UpstreamFault } from "../platform/aws-client.ts";
import type { SendPack } from "../platform/queue-client.ts";

/**
 * Puts a heartbeat on the queue. Resolves when the queue has accepted the message that contains the
 * heartbeat, and rejects otherwise.
 */
export type Enqueue = (tenantId: string, entry: Entry<Uint8Array<ArrayBuffer>>) => Promise<void>;

/**
 * Maximum number of concurrent sends of one workerd isolate. Each send keeps its request in memory until the
 * queue responds, or until three tries of 2 s have failed.
 */
const UNSHARED_SENDS_MAX = 1000;

/** Maximum duration of a send, including all tries and the pauses between them. */
const SEND_MS_MAX = 10_000;

/**
 * Sends each heartbeat as a separate message, for runtimes whose requests cannot share I/O (workerd). Rejects
 * immediately with UpstreamFault while `sendsMax` sends are in flight, because in these runtimes a request
 * cannot wait for another request.
 */
export function sendEach(send: SendPack, clock: Clock, sendsMax = UNSHARED_SENDS_MAX): Enqueue {
  /**
   * Latest end time of each send in flight, in start order. The end time is needed because a request that the
   * runtime cancels never removes its send.
   */
  const inFlight = new Map<symbol, number>();
  return async (tenantId, entry) => {
    if (inFlight.size >= sendsMax) removeEnded(inFlight, clock());
    if (inFlight.size >= sendsMax)
      throw new UpstreamFault("in-flight limit reached: too many heartbeats are being sent to the queue");
    const own = Symbol();
    inFlight.set(own, clock() + SEND_MS_MAX);
    try {
      await send(tenantId, [encodeEntry(entry)]);
    } finally {
      inFlight.delete(own);
    }
  };
}

function removeEnded(inFlight: Map<symbol, number>, nowMs: number): void {
  for (const [send, endsAtMs] of inFlight) {
    if (endsAtMs > nowMs) return;
    inFlight.delete(send);
  }
}

/**
 * Maximum number of heartbeats without a response on one node. Above this number requests fail, and the
 * agents send their heartbeats again from the spool.
 */
const WAITING_MAX = 20_000;

/**
 * Maximum ratio between the heartbeats of one tenant and the free room. With a ratio of 4, a single tenant
 * can fill at most four fifths of the room, and every other tenant still finds room. No room is reserved for
 * inactive tenants.
 */
const TENANT_SHARE = 4;

/** Maximum number of concurrent sends. While all senders are busy, waiting packs continue to take heartbeats. */
const SENDS_MAX = 32;

/**
 * Maximum time in milliseconds that a pack waits for a free sender. The send takes up to 6 s more, and the
 * agent's request times out after 10 s.
 */
const TURN_MS_MAX = 3000;

/** Heartbeats of one tenant that become one message. */
type Pack = {
  tenantId: string;
  lines: Line[];
  bytes: number;
  isDue: boolean;
  sent: PromiseWithResolvers<void>;
};

/**
 * Batches heartbeats, for long-running runtimes. Heartbeats of a tenant that arrive within `waitMs` of the
 * first one share one message. While all {@link SENDS_MAX} senders are busy, packs take more heartbeats, and
 * tenants take turns.
 *
 * A failed send rejects only the heartbeats in its pack. Heartbeats above {@link WAITING_MAX}, or above the
 * tenant's share of it, are rejected immediately with UpstreamFault. A pack is also rejected if no sender was
 * free for {@link TURN_MS_MAX}.
 */
export function createQueueBatcher(
  send: SendPack,
  after: (ms: number, then: () => void) => void,
  waitMs: number,
): Enqueue {
  const batcher = new QueueBatcher(send, after, waitMs);
  return (tenantId, entry) => batcher.add(tenantId, entry);
}

class QueueBatcher {
  /** One pack per tenant, to which new heartbeats are added. */
  readonly #open = new Map<string, Pack>();
  /**
   * Packs that are due to be sent, by tenant. Tenants are in the order of their turns, and each tenant's
   * oldest pack is first. A pack that is also in `#open` takes heartbeats until it is sent.
   */
  readonly #due = new Map<string, Pack[]>();
  #sending = 0;
  #waiting = 0;
  readonly #waitingOf = new Map<string, number>();

  constructor(
    private readonly send: SendPack,
    private readonly after: (ms: number, then: () => void) => void,
    private readonly waitMs: number,
  ) {}

  add(tenantId: string, entry: Entry<Uint8Array<ArrayBuffer>>): Promise<void> {
    const waiting = this.#waitingOf.get(tenantId) ?? 0;
    if (waiting >= TENANT_SHARE * (WAITING_MAX - this.#waiting))
      return Promise.reject(new UpstreamFault("too many heartbeats are waiting for the queue"));
    const line = encodeEntry(entry);
    const bytes = lineBytes(line);
    let pack = this.#open.get(tenantId);
    if (pack && pack.bytes + bytes > PACK_BYTES_MAX) {
      this.#open.delete(tenantId);
      this.#makeDue(pack);
      pack = undefined;
    }
    pack ??= this.#openPack(tenantId);
    pack.lines.push(line);
    pack.bytes += bytes;
    this.#waiting++;
    this.#waitingOf.set(tenantId, waiting + 1);
    return pack.sent.promise;
  }

  #openPack(tenantId: string): Pack {
    const pack: Pack = { tenantId, lines: [], bytes: 0, isDue: false, sent: Promise.withResolvers<void>() };
    this.#open.set(tenantId, pack);
    this.after(this.waitMs, () => this.#makeDue(pack));
    return pack;
  }

  /** Called when the pack is full, and also when its waiting time ends. Only the first call has an effect. */
  #makeDue(pack: Pack): void {
    if (pack.isDue) return;
    pack.isDue = true;
    const packs = this.#due.get(pack.tenantId);
    if (packs) packs.push(pack);
    else this.#due.set(pack.tenantId, [pack]);
    this.#sendDue();
    if (this.#isWaiting(pack)) this.after(TURN_MS_MAX, () => this.#giveUp(pack));
  }

  #sendDue(): void {
    while (this.#sending < SENDS_MAX) {
      const pack = this.#takeDue();
      if (!pack) return;
      this.#close(pack);
      this.#sending++;
      this.send(pack.tenantId, pack.lines)
        .then(pack.sent.resolve, pack.sent.reject)
        .finally(() => {
          this.#sending--;
          this.#settle(pack);
          this.#sendDue();
        });
    }
  }

  #takeDue(): Pack | undefined {
    for (const [tenantId, packs] of this.#due) {
      const pack = packs.shift()!;
      this.#due.delete(tenantId);
      if (packs.length > 0) this.#due.set(tenantId, packs); // The tenant becomes the last in the order of turns.
      return pack;
    }
    return undefined;
  }

  #isWaiting(pack: Pack): boolean {
    return this.#due.get(pack.tenantId)?.includes(pack) ?? false;
  }

  /**
   * Rejects a pack that found no free sender, before the agents' requests time out. Retries of its heartbeats
   * go into a new pack.
   */
  #giveUp(pack: Pack): void {
    if (!this.#isWaiting(pack)) return;
    const rest = this.#due.get(pack.tenantId)!.filter((one) => one !== pack);
    if (rest.length > 0) this.#due.set(pack.tenantId, rest);
    else this.#due.delete(pack.tenantId);
    this.#close(pack);
    this.#settle(pack);
    pack.sent.reject(new UpstreamFault("timeout while waiting for a free sender to the queue"));
  }

  #close(pack: Pack): void {
    if (this.#open.get(pack.tenantId) === pack) this.#open.delete(pack.tenantId);
  }

  #settle({ tenantId, lines }: Pack): void {
    this.#waiting -= lines.length;
    const left = this.#waitingOf.get(tenantId)! - lines.length;
    if (left > 0) this.#waitingOf.set(tenantId, left);
    else this.#waitingOf.delete(tenantId);
  }
}
