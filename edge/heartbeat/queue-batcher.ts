import { type Entry, encodeEntry, type Line, lineBytes, PACK_BYTES_MAX } from "../../shared/queue/message.ts";
import type { Clock } from "../../shared/time/clock.ts";
import { UpstreamFault } from "../platform/aws-client.ts";
import type { SendPack } from "../platform/queue-client.ts";

/** Resolves when the queue has accepted the message that carries the heartbeat. Rejects if it did not. */
export type Enqueue = (tenantId: string, entry: Entry<Uint8Array<ArrayBuffer>>) => Promise<void>;

/**
 * In-flight limit for sends of one workerd isolate. Each keeps the memory of its request until the queue responds or
 * three tries of 2 s have failed.
 */
const UNSHARED_SENDS_MAX = 1000;

/** Longest duration of a send: all its tries and the pauses between them. */
const SEND_MS_MAX = 10_000;

/**
 * For runtimes whose requests may not share I/O (workerd): sends each heartbeat as a message of its own. Rejects with
 * UpstreamFault immediately while `sendsMax` sends are in flight, because a request there cannot wait for another one.
 */
export function sendEach(send: SendPack, clock: Clock, sendsMax = UNSHARED_SENDS_MAX): Enqueue {
  /** Latest end of each send in flight, in start order. A request that the runtime cancels never removes its send. */
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

/** Heartbeats without a response that a node holds at most. Beyond it requests fail, and agents retry from their spool. */
const WAITING_MAX = 20_000;

/**
 * A tenant may hold this many times the free room. One tenant alone therefore fills at most four fifths, and every other
 * tenant still finds room. Nothing is reserved for tenants that send nothing.
 */
const TENANT_SHARE = 4;

/** Concurrent sends. Further packs wait, and take more heartbeats meanwhile. */
const SENDS_MAX = 32;

/** Longest wait of a pack for a free sender. Its send takes up to 6 s, and an agent's request times out after 10 s. */
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
 * For long-running runtimes: heartbeats of a tenant that arrive within `waitMs` of the first share one message. While all
 * {@link SENDS_MAX} senders are busy, packs take more heartbeats and tenants take turns.
 *
 * A failed send rejects exactly the heartbeats in its pack. Rejects with UpstreamFault immediately above
 * {@link WAITING_MAX} and above the tenant's share of it, and when no sender was free for {@link TURN_MS_MAX}.
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
  /** The pack of each tenant that still takes heartbeats. */
  readonly #open = new Map<string, Pack>();
  /**
   * Packs that may be sent, by tenant. Tenants are in the order of their turns, and a tenant's oldest pack is first. A
   * pack that is also in `#open` takes heartbeats until its turn.
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
      return Promise.reject(new UpstreamFault("too many heartbeats wait for the queue"));
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

  /** Called when the pack is full and when its wait ends. Only the first call has an effect. */
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
      if (packs.length > 0) this.#due.set(tenantId, packs); // last in the order of turns
      return pack;
    }
    return undefined;
  }

  #isWaiting(pack: Pack): boolean {
    return this.#due.get(pack.tenantId)?.includes(pack) ?? false;
  }

  /** Rejects a pack that found no free sender, before its agents' requests time out. Retries go into a new pack. */
  #giveUp(pack: Pack): void {
    if (!this.#isWaiting(pack)) return;
    const rest = this.#due.get(pack.tenantId)!.filter((one) => one !== pack);
    if (rest.length > 0) this.#due.set(pack.tenantId, rest);
    else this.#due.delete(pack.tenantId);
    this.#close(pack);
    this.#settle(pack);
    pack.sent.reject(new UpstreamFault("no sender to the queue was free in time"));
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
