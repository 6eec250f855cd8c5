import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { fromUtf8 } from "../../../../shared/encoding/bytes.ts";
import { decodePack, encodePack } from "../../../../shared/queue/message.ts";
import { createWebhookLoops } from "../../../../worker/deliver/webhook-loop.ts";
import { createMetrics } from "../../../../worker/platform/metrics.ts";
import { pollOnce } from "../../../../worker/receive/process-batch.ts";
import { createMemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";
import { createWorkerDeps, makeTenant, TENANT } from "../../../support/dynamo/worker-table.ts";
import { eventually } from "../../../support/stack.ts";

function createLoop(forward: (tenantId: string) => Promise<unknown>) {
  const metrics = createMetrics();
  const logs: string[] = [];
  // The pause is longer than any test, so that only a call of wake() continues the loop.
  const random = () => 1000;
  const log = (_level: string, event: string) => void logs.push(event);
  const forwarding = createWebhookLoops({ forward, random, log, metrics });
  const stop = new AbortController();
  return { forwarding, stop, metrics, logs };
}
const turn = () => Bun.sleep(5);

describe("createWebhookLoops()", () => {
  test("runs again immediately after an event during a run, and for a new tenant", async () => {
    const looks: string[] = [];
    let release = () => {};
    const { forwarding, stop } = createLoop(async (tenantId) => {
      looks.push(tenantId);
      if (looks.length === 1) await new Promise<void>((done) => (release = done));
    });
    forwarding.add("org_slow");
    const running = forwarding.run(stop.signal);
    await turn();
    forwarding.wake("org_slow");
    await turn();
    expect(looks).toEqual(["org_slow"]); // one tenant never has two concurrent runs
    release();
    await turn();
    expect(looks).toEqual(["org_slow", "org_slow"]);
    await turn();
    expect(looks).toHaveLength(2); // there is no new event, so the loop pauses
    forwarding.wake("org_new");
    await turn();
    expect(looks).toEqual(["org_slow", "org_slow", "org_new"]);
    stop.abort();
    await running;
  });

  test("runs that hang delay no other tenant", async () => {
    const looks: string[] = [];
    const { forwarding, stop } = createLoop(async (tenantId) => {
      looks.push(tenantId);
      if (tenantId.startsWith("org_hangs")) await new Promise(() => {});
    });
    forwarding.add("org_hangs");
    const running = forwarding.run(stop.signal);
    await turn();
    forwarding.wake("org_good");
    await turn();
    expect(looks).toEqual(["org_hangs", "org_good"]);
    // These are more runs than the limit. Runs that hang no longer count after two seconds.
    for (let i = 0; i < 100; i++) forwarding.wake(`org_hangs_${i}`);
    forwarding.wake("org_late");
    await eventually(async () => looks.includes("org_late"), 6500);
    stop.abort();
    await running; // a run that hangs does not delay the shutdown
  }, 15_000);

  test("runs again immediately when there are more events than one run handles", async () => {
    let left = 3;
    const { forwarding, stop } = createLoop(async () => --left > 0);
    forwarding.add("org_busy");
    const running = forwarding.run(stop.signal);
    await turn();
    expect(left).toBe(0);
    stop.abort();
    await running;
  });

  test("an error is counted and logged, and delays no other tenant", async () => {
    const looks: string[] = [];
    const { forwarding, stop, metrics, logs } = createLoop(async (tenantId) => {
      if (tenantId === "org_bad") throw new Error("away");
      looks.push(tenantId);
    });
    for (const tenant of ["org_bad", "org_good"]) forwarding.add(tenant);
    const running = forwarding.run(stop.signal);
    await turn();
    expect(looks).toEqual(["org_good"]);
    expect(metrics.read().forwards_faulted_total).toBe(1);
    expect(logs).toEqual(["webhooks.not-forwarded"]);
    stop.abort();
    await running;
  });

  test("stops during a pause when the signal aborts", async () => {
    const { forwarding, stop } = createLoop(async () => {});
    const running = forwarding.run(stop.signal);
    await turn();
    stop.abort();
    await running;
  });
});

describe("a pack without heartbeats", () => {
  const body = fromUtf8(encodePack(TENANT, []));
  const key = Buffer.alloc(32, 9);

  test("is accepted by decodePack(), which refuses a count of 0 with entries", () => {
    expect(decodePack(body)).toEqual({ tenantId: TENANT, entries: [] });
    expect(() => decodePack(`${body}x`)).toThrow();
    expect(() => decodePack(`${body}\n`)).toThrow();
  });

  test("wakes the outbox of its tenant and is deleted; an unsigned pack does nothing", async () => {
    const told: string[] = [];
    const removed: string[] = [];
    const buried: string[] = [];
    const signature = createHmac("sha256", key).update(body).digest("base64url");
    const message = { receipt: "r", body, receives: 1, sentAtMs: 0 };
    const worker = createWorkerDeps(createMemoryDynamo(), makeTenant(), {
      queueKeys: new Map([["k", key]]),
      onOutboxEvent: (tenantId) => void told.push(tenantId),
      queue: {
        receive: async () => [
          { ...message, id: "signed", kid: "k", signature },
          { ...message, id: "unsigned" },
        ],
        remove: async (messages) => void removed.push(...messages.map(({ id }) => id)),
        extend: async () => {},
        bury: async ({ reason }) => void buried.push(reason),
      },
    });
    expect(await pollOnce(worker, new AbortController().signal)).toBe(0);
    expect(told).toEqual([TENANT]);
    expect(removed).toEqual(["signed", "unsigned"]);
    expect(buried).toEqual(["unsigned"]);
  });
});
