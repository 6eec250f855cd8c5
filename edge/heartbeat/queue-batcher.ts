import { type Entry, encodeEntry, type Line, lineBytes, PACK_BYTES_MAX } from "../../shared/queue/message.ts";
import type { Clock } from "../../shared/time/clock.ts";
import { UpstreamFault } from "../platform/aws-client.ts";
import type { SendPack } from "../platform/queue-client.ts";

/** Resolves once the queue has accepted the message that carries the heartbeat; rejects if it did not. */
export type Enqueue = (tenantId: string, entry: Entry<Uint8Array<ArrayBuffer>>) => Promise<void>;

/**
 * Sends under way at once from an isolate of workerd. Each holds its request's memory until the queue has answered
 * or three tries of 2 s have failed.
 */
export const UNSHARED_SENDS_MAX = 1000;

/**
 * For runtimes whose requests may not share I/O (workerd): every heartbeat is a message of its own. Rejects with
 * UpstreamFault at once while `sendsMax` are under way: nobody can wait there for another one's send to end.
 */
export function sendEach(send: SendPack, clock: Clock, sendsMax = UNSHARED_SENDS_MAX): Enqueue {
  /** When each that is under way will have ended: a request that is broken off ends without a word. */
  const underWay = new Map<symbol, number>();
  return async (tenantId, entry) => {
    if (underWay.size >= sendsMax) forgetLost(underWay, clock());
    if (underWay.size >= sendsMax)
      throw new UpstreamFault("too many heartbeats are on their way to the queue");
    const own = Symbol();
    underWay.set(own, clock() + SEND_MS_MAX);
    try {
      await send(tenantId, [encodeEntry(entry)]);
    } finally {
      underWay.delete(own);
    }
  };
}

/** All tries of a send and the pauses between them are over by then. */
const SEND_MS_MAX = 10_000;

function forgetLost(underWay: Map<symbol, number>, nowMs: number): void {
  for (const [send, endsAtMs] of underWay) {
    if (endsAtMs > nowMs) return; // in the order in which they began
    underWay.delete(send);
  }
}

/** A node that holds this many unanswered heartbeats takes no more: the agents keep theirs and come again. */
const WAITING_MAX = 20_000;

/**
 * A tenant may have this many times as many waiting as there is room left: one alone fills four fifths, and each
 * that comes then finds some. Nothing is set aside for tenants that are not there.
 */
const TENANT_SHARE = 4;

/** Messages on their way to the queue at once; further packs wait, and fill up while they do. */
const SENDS_MAX = 32;

/** A pack waits for a sender so long: then its send, which may take six seconds, ends before an agent's ten are over. */
const TURN_MS_MAX = 3000;

type Open = {
  tenantId: string;
  lines: Line[];
  bytes: number;
  isDue: boolean;
  sent: PromiseWithResolvers<void>;
};

/**
 * For long-lived runtimes: heartbeats of a tenant that arrive within `waitMs` of the first share one message, and
 * more do while all {@link SENDS_MAX} senders are busy. A failed send rejects exactly the heartbeats that were in
 * it. Rejects with UpstreamFault at once beyond {@link WAITING_MAX} and beyond the tenant's share of it, and when no
 * sender was free for {@link TURN_MS_MAX}. While senders are busy tenants take turns.
 */
export function packed(
  send: SendPack,
  after: (ms: number, then: () => void) => void,
  waitMs: number,
): Enqueue {
  /** The pack of each tenant that still takes heartbeats. */
  const open = new Map<string, Open>();
  /**
   * Packs whose wait is over, by tenant: the one whose turn it is first, its oldest first. Those also in `open` go on
   * filling until it is their turn.
   */
  const due = new Map<string, Open[]>();
  let sending = 0;
  let waiting = 0;
  const waitingOf = new Map<string, number>();

  function takeDue(): Open | undefined {
    for (const [tenantId, packs] of due) {
      const pack = packs.shift()!;
      due.delete(tenantId);
      if (packs.length > 0) due.set(tenantId, packs); // behind the others
      return pack;
    }
    return undefined;
  }

  function settle({ tenantId, lines }: Open): void {
    waiting -= lines.length;
    const left = waitingOf.get(tenantId)! - lines.length;
    if (left > 0) waitingOf.set(tenantId, left);
    else waitingOf.delete(tenantId);
  }

  function sendDue(): void {
    while (sending < SENDS_MAX) {
      const pack = takeDue();
      if (!pack) return;
      if (open.get(pack.tenantId) === pack) open.delete(pack.tenantId);
      sending++;
      send(pack.tenantId, pack.lines)
        .then(pack.sent.resolve, pack.sent.reject)
        .finally(() => {
          sending--;
          settle(pack);
          sendDue();
        });
    }
  }

  /** Its wait is over, or it is full: once, whichever comes first. */
  function post(pack: Open): void {
    if (pack.isDue) return;
    pack.isDue = true;
    const packs = due.get(pack.tenantId);
    if (packs) packs.push(pack);
    else due.set(pack.tenantId, [pack]);
    sendDue();
    if (isWaiting(pack)) after(TURN_MS_MAX, () => giveUp(pack));
  }

  const isWaiting = (pack: Open): boolean => due.get(pack.tenantId)?.includes(pack) ?? false;

  /** Its agents are told to come again while they still listen, and what comes then goes into a new pack. */
  function giveUp(pack: Open): void {
    if (!isWaiting(pack)) return;
    const rest = due.get(pack.tenantId)!.filter((one) => one !== pack);
    if (rest.length > 0) due.set(pack.tenantId, rest);
    else due.delete(pack.tenantId);
    if (open.get(pack.tenantId) === pack) open.delete(pack.tenantId);
    settle(pack);
    pack.sent.reject(new UpstreamFault("nobody was free in time to send it to the queue"));
  }

  function openPack(tenantId: string): Open {
    const pack: Open = { tenantId, lines: [], bytes: 0, isDue: false, sent: Promise.withResolvers<void>() };
    open.set(tenantId, pack);
    after(waitMs, () => post(pack));
    return pack;
  }

  return (tenantId, entry) => {
    const mine = waitingOf.get(tenantId) ?? 0;
    if (mine >= TENANT_SHARE * (WAITING_MAX - waiting))
      return Promise.reject(new UpstreamFault("too many heartbeats wait for the queue"));
    const line = encodeEntry(entry);
    let pack = open.get(tenantId);
    const bytes = lineBytes(line);
    if (pack && pack.bytes + bytes > PACK_BYTES_MAX) {
      open.delete(tenantId);
      post(pack);
      pack = undefined;
    }
    pack ??= openPack(tenantId);
    pack.lines.push(line);
    pack.bytes += bytes;
    waiting++;
    waitingOf.set(tenantId, mine + 1);
    return pack.sent.promise;
  };
}
