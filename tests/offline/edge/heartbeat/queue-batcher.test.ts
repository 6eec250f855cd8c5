import { describe, expect, test } from "bun:test";
import { createQueueBatcher, sendEach } from "../../../../edge/heartbeat/queue-batcher.ts";
import { UpstreamFault } from "../../../../edge/platform/aws-client.ts";
import { fromUtf8, utf8 } from "../../../../shared/encoding/bytes.ts";
import { type Entry, type Line, PACK_BYTES_MAX } from "../../../../shared/queue/message.ts";

const ASSET = "01M807NRG7BVMVH9SM4YAEXFPG";
const entry = (body: string): Entry<Uint8Array<ArrayBuffer>> => ({
  assetId: ASSET,
  receivedAt: "2026-11-21T00:00:00.000Z",
  body: utf8(body),
});

/**
 * Test setup: a queue that accepts the batches for which `accepts` returns true, and a timer that the test
 * controls.
 */
function harness(accepts: (lines: readonly Line[]) => boolean = () => true) {
  const sent: { tenantId: string; lines: readonly Line[] }[] = [];
  let timers: (() => void)[] = [];
  const enqueue = createQueueBatcher(
    async (tenantId, lines) => {
      sent.push({ tenantId, lines });
      if (!accepts(lines)) throw new Error("refused");
    },
    (_ms, then) => void timers.push(then),
    5,
  );
  const tick = () => {
    const due = timers;
    timers = [];
    for (const then of due) then();
  };
  return { enqueue, sent, tick };
}

describe("createQueueBatcher()", () => {
  test("sends simultaneous heartbeats of a tenant as one message, and notifies each caller", async () => {
    const { enqueue, sent, tick } = harness();
    const waiting = [
      enqueue("org_a", entry("1")),
      enqueue("org_a", entry("2")),
      enqueue("org_b", entry("3")),
    ];
    expect(sent).toEqual([]);
    tick();
    await Promise.all(waiting);
    expect(sent.map(({ tenantId, lines }) => [tenantId, lines.length])).toEqual([
      ["org_a", 2],
      ["org_b", 1],
    ]);
  });

  test("notifies no caller of success before the message is accepted", async () => {
    const { enqueue, tick } = harness();
    let told = false;
    const waiting = enqueue("org_a", entry("1")).then(() => {
      told = true;
    });
    await Promise.resolve();
    expect(told).toBe(false);
    tick();
    await waiting;
    expect(told).toBe(true);
  });

  test("a failed send fails exactly the heartbeats of its message", async () => {
    const { enqueue, tick } = harness((lines) => !lines.some((line) => fromUtf8(line.body) === "bad"));
    const first = [enqueue("org_a", entry("bad")), enqueue("org_a", entry("beside"))];
    const other = enqueue("org_b", entry("fine"));
    const settled = Promise.allSettled([...first, other]);
    tick();
    expect((await settled).map((outcome) => outcome.status)).toEqual(["rejected", "rejected", "fulfilled"]);
    const later = enqueue("org_a", entry("fine"));
    tick();
    await expect(later).resolves.toBeUndefined();
  });

  test("sends a full batch immediately and opens the next one", async () => {
    const { enqueue, sent, tick } = harness();
    const half = "x".repeat(PACK_BYTES_MAX / 2);
    const waiting = [enqueue("org_a", entry(half)), enqueue("org_a", entry(half))];
    expect(sent).toHaveLength(1);
    tick();
    await Promise.all(waiting);
    expect(sent.map(({ lines }) => lines.length)).toEqual([1, 1]);
  });

  test("sends a limited number of messages to a queue that hangs, and then rejects callers immediately", async () => {
    let calls = 0;
    const timers: (() => void)[] = [];
    const enqueue = createQueueBatcher(
      () => {
        calls++;
        return new Promise(() => {});
      },
      (ms, then) => void (ms === 5 && timers.push(then)),
      5,
    );
    for (let i = 0; i < 20_000; i++) enqueue(`org_${i % 100}`, entry("1")).catch(() => {});
    for (const then of timers) then();
    expect(calls).toBe(32);
    await expect(enqueue("org_0", entry("1"))).rejects.toThrow("too many heartbeats are waiting");
  });

  test("a tenant that sends without pause cannot block the other tenants while the queue is slow", async () => {
    const sends: { tenantId: string; done: () => void }[] = [];
    const timers: (() => void)[] = [];
    const enqueue = createQueueBatcher(
      (tenantId) => new Promise((resolve) => void sends.push({ tenantId, done: resolve })),
      (ms, then) => void (ms === 5 && timers.push(then)),
      5,
    );
    const large = entry("x".repeat(PACK_BYTES_MAX / 40));
    let [taken, refused] = [0, 0];
    const flood = async (): Promise<void> => {
      taken++;
      await enqueue("org_flood", large).catch(() => refused++);
    };
    for (let i = 0; i < 25_000; i++) void flood();
    await Bun.sleep(0);
    expect(taken - refused).toBe(16_000);
    const others = Array.from({ length: 20 }, (_, i) => enqueue(`org_${i}`, entry("1")));
    for (const then of timers.splice(0)) then();
    for (const { done } of sends.splice(0)) done();
    await Bun.sleep(0);
    const tenants = sends.map(({ tenantId }) => tenantId);
    expect(new Set(tenants).size).toBe(21);
    for (const { done } of sends.splice(0)) done();
    expect(await Promise.all(others)).toHaveLength(20);
  });

  test("rejects only callers that got no sender in time, and sends later heartbeats once a sender is free", async () => {
    const timers: { ms: number; then: () => void }[] = [];
    const sends: PromiseWithResolvers<void>[] = [];
    const enqueue = createQueueBatcher(
      () => {
        const send = Promise.withResolvers<void>();
        sends.push(send);
        return send.promise;
      },
      (ms, then) => void timers.push({ ms, then }),
      5,
    );
    const fire = (wanted: (ms: number) => boolean) => {
      const due = timers.filter(({ ms }) => wanted(ms));
      for (const one of due) timers.splice(timers.indexOf(one), 1);
      for (const { then } of due) then();
    };
    const pack = (tenantId: string) => {
      const told = enqueue(tenantId, entry("1")).then(
        () => "accepted",
        (error: unknown) => error,
      );
      fire((ms) => ms === 5);
      return told;
    };
    const sent = Array.from({ length: 32 }, (_, at) => pack(`org_${at}`));
    const late = [pack("org_late"), enqueue("org_late", entry("2")).catch((error: unknown) => error)];
    expect(sends.length).toBe(32);
    fire((ms) => ms > 5);
    for (const told of late) expect(await told).toBeInstanceOf(UpstreamFault);
    const again = pack("org_late");
    sends[0]!.resolve();
    expect(await sent[0]!).toBe("accepted");
    expect(sends.length).toBe(33);
    // The send took longer than the timeout.
    fire((ms) => ms > 5);
    for (const send of sends) send.resolve();
    expect(await again).toBe("accepted");
    expect(new Set(await Promise.all(sent))).toEqual(new Set(["accepted"]));
    // Heartbeats no longer count as waiting, so the full limit is available.
    const all = Array.from({ length: 16_000 }, () => enqueue("org_late", entry("3")));
    fire((ms) => ms === 5);
    for (let at = 0; at < sends.length; at++) {
      sends[at]!.resolve();
      await Bun.sleep(0);
    }
    await Promise.all(all);
  });

  test("several batches of one tenant wait in order; each is sent once, even if one times out", async () => {
    const timers: { ms: number; then: () => void }[] = [];
    const sends: { lines: readonly Line[]; done: () => void }[] = [];
    const enqueue = createQueueBatcher(
      (_tenant, lines) => new Promise((resolve) => void sends.push({ lines, done: resolve })),
      (ms, then) => void timers.push({ ms, then }),
      5,
    );
    const fire = (wanted: (ms: number) => boolean, count = Number.POSITIVE_INFINITY) => {
      const due = timers.filter(({ ms }) => wanted(ms)).slice(0, count);
      for (const one of due) timers.splice(timers.indexOf(one), 1);
      for (const { then } of due) then();
    };
    for (let at = 0; at < 32; at++) void enqueue(`org_${at}`, entry("busy"));
    fire((ms) => ms === 5);
    expect(sends).toHaveLength(32);
    const tell = async (work: Promise<void>) => work.then(() => "sent").catch(() => "given up");
    // Each entry fills a complete batch. The previous batch must therefore be sent, but no sender is free.
    const full = (name: string) => entry(name.padEnd(PACK_BYTES_MAX - 200, "x"));
    const told = ["a", "b", "c", "d"].map((name) => tell(enqueue("org_mine", full(name))));
    fire((ms) => ms === 5);
    fire((ms) => ms > 5, 1);
    expect(await told[0]).toBe("given up");
    for (const { done } of sends.slice(0, 3)) done();
    await Bun.sleep(0);
    const names = sends.slice(32).map(({ lines }) => fromUtf8(lines[0]!.body)[0]);
    expect(names).toEqual(["b", "c", "d"]);
    for (const { done } of sends) done();
    expect(await Promise.all(told.slice(1))).toEqual(["sent", "sent", "sent"]);
    // All waiting entries are settled, so the tenant's full share of the queue is available again.
    const share = Array.from({ length: 16_000 }, () => tell(enqueue("org_mine", entry("1"))));
    expect(await tell(enqueue("org_mine", entry("1")))).toBe("given up");
    fire((ms) => ms === 5);
    for (let at = 0; at < sends.length; at++) {
      sends[at]!.done();
      await Bun.sleep(0);
    }
    expect(new Set(await Promise.all(share))).toEqual(new Set(["sent"]));
  });

  test("sends a heartbeat that is larger than a batch alone", async () => {
    const { enqueue, sent, tick } = harness();
    const large = enqueue("org_a", entry("x".repeat(PACK_BYTES_MAX)));
    const small = enqueue("org_a", entry("1"));
    tick();
    await Promise.all([large, small]);
    expect(sent.map(({ lines }) => lines.length)).toEqual([1, 1]);
  });
});

describe("sendEach()", () => {
  test("shares nothing between requests", async () => {
    const sent: number[] = [];
    const enqueue = sendEach(
      async (_tenant, lines) => void sent.push(lines.length),
      () => 0,
    );
    await Promise.all([enqueue("org_a", entry("1")), enqueue("org_a", entry("2"))]);
    expect(sent).toEqual([1, 1]);
  });

  test("rejects callers immediately above its limit, and accepts them again after a send has ended, even with an error", async () => {
    const sends: PromiseWithResolvers<void>[] = [];
    const send = () => {
      sends.push(Promise.withResolvers());
      return sends.at(-1)!.promise;
    };
    const enqueue = sendEach(send, () => 0, 2);
    const [first, second] = [enqueue("org_a", entry("1")), enqueue("org_b", entry("2"))];
    const refused = enqueue("org_c", entry("3"));
    await expect(refused).rejects.toBeInstanceOf(UpstreamFault);
    await expect(refused).rejects.toThrow(
      "in-flight limit reached: too many heartbeats are being sent to the queue",
    );
    expect(sends).toHaveLength(2);
    sends[0]!.resolve();
    await first;
    const third = enqueue("org_c", entry("3"));
    sends[1]!.reject(new Error("away"));
    await expect(second).rejects.toThrow("away");
    const fourth = enqueue("org_c", entry("4"));
    for (const { resolve } of sends) resolve();
    await Promise.all([third, fourth]);
  });

  test("counts a send that never ends, for example of an aborted request, for at most ten seconds", async () => {
    let nowMs = 0;
    const enqueue = sendEach(
      () => new Promise(() => {}),
      () => nowMs,
      1,
    );
    void enqueue("org_a", entry("1"));
    nowMs = 9999;
    await expect(enqueue("org_a", entry("2"))).rejects.toBeInstanceOf(UpstreamFault);
    nowMs = 10_000;
    let isRefused = false;
    enqueue("org_a", entry("2")).catch(() => {
      isRefused = true;
    });
    await Bun.sleep(0);
    expect(isRefused).toBe(false);
  });
});
