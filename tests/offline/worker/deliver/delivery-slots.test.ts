import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import { createDeliverySlots, type DeliverySlots } from "../../../../worker/deliver/delivery-slots.ts";

const ATTEMPT_MS = 10_000;
const after = (ms: number) => () => new Promise<string>((done) => setTimeout(() => done("sent"), ms));
const prompt = after(20);
/** A delivery attempt whose receiver does not respond before the timeout. */
const hanging = after(ATTEMPT_MS);

type Delivery = { outcome?: { sent: string } | { deferMs: number } };
function deliver(slots: DeliverySlots, tenantId: string, webhookId: string, send = prompt): Delivery {
  const delivery: Delivery = {};
  void slots.send(tenantId, webhookId, send).then((outcome) => {
    delivery.outcome = outcome;
  });
  return delivery;
}
/** Advances the fake clock in small steps, and runs pending promises between the steps. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 10) {
    jest.advanceTimersByTime(10);
    for (let i = 0; i < 6; i++) await Promise.resolve();
  }
}
const sentOf = (all: Delivery[]) => all.filter(({ outcome }) => outcome && "sent" in outcome).length;
const many = (count: number, make: (index: number) => Delivery) =>
  Array.from({ length: count }, (_, i) => make(i));

describe("createDeliverySlots()", () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  test("a prompt receiver gets a burst of 200 deliveries without deferral", async () => {
    const slots = createDeliverySlots();
    deliver(slots, "a", "good");
    await pass(30);
    const burst = many(200, () => deliver(slots, "a", "good"));
    await pass(1000);
    expect(sentOf(burst)).toBe(200);
  });

  test("a slow receiver gets one delivery at a time, and the rest is deferred immediately", async () => {
    const slots = createDeliverySlots();
    let underWay = 0;
    let highest = 0;
    const watched = async () => {
      highest = Math.max(highest, ++underWay);
      return hanging().finally(() => underWay--);
    };
    const first = many(20, () => deliver(slots, "a", "bad", watched));
    await pass(2100);
    expect(first.filter(({ outcome }) => outcome && "deferMs" in outcome)).toHaveLength(18);
    const second = many(20, () => deliver(slots, "a", "bad", watched));
    await pass(10);
    expect(second.every(({ outcome }) => outcome && "deferMs" in outcome)).toBe(true);
    await pass(ATTEMPT_MS);
    highest = 0;
    many(20, () => deliver(slots, "a", "bad", watched));
    await pass(100);
    expect(highest).toBe(1);
  });

  test("deferrals of a slow receiver grow by the duration of an attempt, up to 30 minutes, and reset after a response", async () => {
    const slots = createDeliverySlots();
    deliver(slots, "a", "bad", hanging);
    deliver(slots, "a", "bad", hanging);
    await pass(2100);
    const deferMs = async () => {
      const delivery = deliver(slots, "a", "bad");
      await pass(10);
      return (delivery.outcome as { deferMs?: number }).deferMs;
    };
    expect([await deferMs(), await deferMs(), await deferMs()]).toEqual([10_000, 20_000, 30_000]);
    for (let i = 0; i < 200; i++) await deferMs();
    expect(await deferMs()).toBe(1800_000);
    await pass(ATTEMPT_MS);
    const answered = deliver(slots, "a", "bad");
    await pass(50);
    expect(answered.outcome).toEqual({ sent: "sent" });
    const burst = many(50, () => deliver(slots, "a", "bad"));
    await pass(500);
    expect(sentOf(burst)).toBe(50);
  });

  test("ten slow receivers of a tenant delay neither its prompt receiver nor another tenant's", async () => {
    const slots = createDeliverySlots();
    deliver(slots, "a", "good");
    deliver(slots, "b", "good");
    await pass(30);
    for (let i = 0; i < 10; i++) many(10, () => deliver(slots, "a", `bad${i}`, hanging));
    const good = [
      ...many(20, () => deliver(slots, "a", "good")),
      ...many(20, () => deliver(slots, "b", "good")),
    ];
    await pass(200);
    expect(sentOf(good)).toBe(40);
  });

  test("500 tenants with slow receivers leave the slots of prompt receivers free, even if they were prompt before", async () => {
    const slots = createDeliverySlots();
    for (let tenant = 0; tenant < 500; tenant++) deliver(slots, `t${tenant}`, "hook");
    deliver(slots, "b", "good");
    for (let round = 0; round < 20; round++) await pass(100);
    const hang = () => {
      for (let tenant = 0; tenant < 500; tenant++) deliver(slots, `t${tenant}`, "hook", hanging);
    };
    // All receivers hang from this point on. One slow response per receiver shows this, and 256 receivers are
    // found every two seconds.
    for (let second = 0; second < 5; second++) {
      hang();
      await pass(1000);
    }
    for (let second = 0; second < 10; second++) {
      hang();
      const good = many(5, () => deliver(slots, "b", "good"));
      await pass(300);
      expect(sentOf(good)).toBe(5);
      await pass(700);
    }
  });

  test("a new tenant's receiver is reached within seconds while many others hang", async () => {
    const slots = createDeliverySlots();
    for (let tenant = 0; tenant < 50; tenant++) many(2, () => deliver(slots, `t${tenant}`, "hook", hanging));
    await pass(ATTEMPT_MS + 10);
    const fresh = deliver(slots, "fresh", "good");
    await pass(2100);
    expect(sentOf([fresh])).toBe(1);
  });
});
