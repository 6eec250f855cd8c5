import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { makeDevice } from "../../../../lz/platform/simulated-agents.ts";
import { createAuthority } from "../../../../shared/authority/read-authority.ts";
import { createVerifier } from "../../../../shared/authority/verify-authority.ts";
import { eventPut } from "../../../../shared/events/event-put.ts";
import { makeEvent, type NewEvent } from "../../../../shared/events/make-event.ts";
import { requeueUpdate } from "../../../../shared/events/requeue.ts";
import { OCSF_VERSION, ocsfOf } from "../../../../shared/export/ocsf.ts";
import { webhookHeaders } from "../../../../shared/export/standard-webhooks.ts";
import { isPublicAddress, targetFault } from "../../../../shared/public-address.ts";
import { type AttributeMap, marshalItem, unmarshalItem } from "../../../../shared/table/dynamo.ts";
import { decodeItem } from "../../../../shared/table/items/decode.ts";
import { type EventItem, eventItem } from "../../../../shared/table/items/event.ts";
import type { TenantItem } from "../../../../shared/table/items/tenant.ts";
import { WEBHOOK_EVENTS, type Webhook } from "../../../../shared/table/items/webhook.ts";
import { assetKey, tenantKey } from "../../../../shared/table/keys.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import { createDeliverer, forwardDue, RETRY_SECONDS } from "../../../../worker/deliver/deliver-webhooks.ts";
import { createDeliverySlots } from "../../../../worker/deliver/delivery-slots.ts";
import { createPostWebhook, type PostWebhook } from "../../../../worker/deliver/post-webhook.ts";
import { createMetrics } from "../../../../worker/platform/metrics.ts";
import { eventIdOf } from "../../../../worker/record/event-id.ts";
import { createMemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";
import { ASSET, makeTenant, TENANT } from "../../../support/dynamo/worker-table.ts";
import { eventually } from "../../../support/stack.ts";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const START_MS = Date.parse("2026-11-20T12:00:00.000Z");
const hook = (more: Partial<Webhook> = {}): Webhook => ({
  id: "siem",
  url: "https://hooks.example.com/lz",
  secret: SECRET,
  events: [],
  ...more,
});
const tenantWith = (...webhooks: Webhook[]) => makeTenant({ webhooks });
const opened = (tenant = tenantWith(hook()), more: Partial<NewEvent> = {}): EventItem =>
  makeEvent(
    {
      kind: "incident.opened",
      eventId: eventIdOf("incident.opened", "one"),
      at: timestamp(START_MS),
      assetId: ASSET,
      hostname: "host-1",
      data: {
        rule: "exposed-engine",
        engine: "ollama",
        risk: "CRITICAL",
        points: 80,
        title: "AI engine open to the network",
        explanation: "It is.",
        atlas: "AML.T0132",
        openedAt: timestamp(START_MS),
      },
      ...more,
    },
    tenant,
    timestamp(START_MS),
  );

async function createOutbox(tenant = tenantWith(hook()), more: Partial<NewEvent> = {}) {
  const table = createMemoryDynamo();
  let now = START_MS;
  const sent: { url: string; headers: Record<string, string>; body: string }[] = [];
  let status: (url: string) => number | Promise<number> = () => 204;
  const post: PostWebhook = async (url, headers, body) => {
    sent.push({ url, headers, body });
    return status(url);
  };
  const metrics = createMetrics();
  const logs: string[] = [];
  const deps = {
    dynamo: table.dynamo,
    table: "t",
    authority: createAuthority({
      ...{ dynamo: table.dynamo, table: "t", verifier: createVerifier({ keys: [] }), mode: "observe" },
      pause: async () => {},
      log: (_, event) => void (event.startsWith("security.proof") && logs.push(event)),
    }),
    clock: () => now,
    log: (_: string, event: string) => void logs.push(event),
    metrics,
    post,
    slots: createDeliverySlots(),
  };
  const keep = (changed: TenantItem) =>
    table.dynamo("PutItem", {
      TableName: "t",
      Item: marshalItem({ ...tenantKey(TENANT), ...changed }),
    });
  const keepItem = (Item: AttributeMap) => table.dynamo("PutItem", { TableName: "t", Item });
  await keep(tenant);
  await table.dynamo("PutItem", eventPut(opened(tenant, more), "t"));
  const stored = () => [...table.items.values()].find((item) => item.type?.S === "Event")!;
  return {
    sent,
    logs,
    metrics,
    keep,
    keepItem,
    put: (event: EventItem) => table.dynamo("PutItem", eventPut(event, "t")),
    forward: () => forwardDue(TENANT, deps),
    /** Runs the delivery loop once, as the worker does. Deliveries continue after the run. */
    look: createDeliverer(deps),
    answer: (next: typeof status) => {
      status = next;
    },
    /** Resends a delivery, as the API does for an administrator. */
    requeue: (webhookId: string) =>
      table.dynamo("UpdateItem", requeueUpdate(decodeItem(eventItem, stored()), webhookId, now, "t")),
    wait: (seconds: number) => {
      now += seconds * 1000;
    },
    event: () => unmarshalItem(stored()),
    events: () => [...table.items.values()].filter((item) => item.type?.S === "Event").map(unmarshalItem),
    health: () =>
      [...table.items.values()].filter((item) => item.type?.S === "WebhookHealth").map(unmarshalItem),
  };
}

describe("webhookHeaders()", () => {
  test("matches the example of the specification", async () => {
    // Example from the reference libraries (github.com/standard-webhooks/standard-webhooks).
    const headers = await webhookHeaders(
      [SECRET],
      "msg_p5jXN8AQM9LWM0D4loKWxJek",
      1614265330,
      '{"test": 2432232314}',
    );
    expect(headers["webhook-signature"]).toBe("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
  });
  test("rejects an invalid secret", async () => {
    expect(webhookHeaders(["secret"], "id", 1, "{}")).rejects.toThrow("whsec_");
  });
});

const sentTo = (box: Awaited<ReturnType<typeof createOutbox>>) =>
  box.sent.map(({ url }) => new URL(url).host);

describe("an event about what a host has proven", () => {
  const device = makeDevice();
  const proven = async (sign: boolean): Promise<Partial<NewEvent>> => {
    const { x, sign: signed } = await device;
    const said = { generation: 1, action: "isolate", mode: "network" } as const;
    const plain = { ...said, outcome: "applied", at: timestamp(START_MS) } as const;
    const report = sign ? await signed({ tenantId: TENANT, assetId: ASSET }, plain) : plain;
    return { kind: "isolation.proven", data: said, report: { ...report, signedBy: x } };
  };
  const enrolled = async () =>
    marshalItem({
      ...assetKey(TENANT, ASSET),
      ...{ type: "Asset", tenantId: TENANT, assetId: ASSET, employeeId: "dana", hostname: "host-1" },
      ...{ os: "linux", arch: "x64", deviceKey: (await device).x, enrolledAt: timestamp(START_MS) },
      ...{ status: "ISOLATED", generation: 1, custodyCount: 1 },
    });

  test("is sent if it has a report signed by the device", async () => {
    const box = await createOutbox(tenantWith(hook()), await proven(true));
    await box.keepItem(await enrolled());
    await box.forward();
    expect(box.sent.map(({ body }) => JSON.parse(body).type)).toEqual(["isolation.proven"]);
  });

  test("is not sent otherwise: the delivery states the reason, and the log names the host", async () => {
    const box = await createOutbox(tenantWith(hook()), await proven(false));
    await box.keepItem(await enrolled());
    await box.forward();
    expect(box.sent).toEqual([]);
    expect(box.event().forwards).toMatchObject({
      siem: { deadAt: expect.any(String), lastError: "proof has no valid signature" },
    });
    expect(await box.forward()).toBe(0);
    expect(box.logs).toContain("security.proof-refused");
  });
});

describe("forwardDue()", () => {
  test("delivers an event once, signed, and removes it from the outbox", async () => {
    const box = await createOutbox();
    expect(await box.forward()).toBe(1);
    expect(await box.forward()).toBe(0);
    const [{ headers, body }] = box.sent as [(typeof box.sent)[0]];
    const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
    const wanted = createHmac("sha256", Buffer.from(SECRET.slice(6), "base64"))
      .update(signed)
      .digest("base64");
    expect(headers["webhook-signature"]).toBe(`v1,${wanted}`);
    expect(JSON.parse(body)).toMatchObject({
      type: "incident.opened",
      data: { assetId: ASSET, rule: "exposed-engine" },
    });
    expect(box.event().GSI2PK).toBeUndefined();
    expect(box.health()).toMatchObject([{ webhookId: "siem", failures: 0, dead: 0 }]);
    expect(box.event()).toMatchObject({ forwards: { siem: { attempts: 1, status: 204, latencyMs: 0 } } });
  });

  test("a failure is visible from the first attempt until the first success", async () => {
    const box = await createOutbox();
    box.answer(() => 503);
    await box.forward();
    box.wait(5);
    await box.forward();
    expect(box.health()).toMatchObject([{ failures: 2, dead: 0, lastError: "answered 503" }]);
    expect(box.event()).toMatchObject({ forwards: { siem: { attempts: 2, status: 503 } } });
    expect(box.metrics.read()).toMatchObject({ webhooks_failed_total: 2, webhooks_dead_total: 0 });
    box.answer(() => 204);
    box.wait(300);
    await box.forward();
    expect(box.health()).toMatchObject([{ failures: 0, lastDeliveredAt: expect.any(String) }]);
  });

  test("an event that does not parse is logged, and delays no other event", async () => {
    const box = await createOutbox();
    const first = timestamp(START_MS - 1000);
    const unknown = { ...opened(), eventId: "evt_newer", recordedAt: first, nextAttemptAt: first };
    await box.put({ ...unknown, kind: "incident.melted" as EventItem["kind"] });
    expect(await box.forward()).toBe(1);
    expect(box.sent).toHaveLength(1);
    expect(box.logs).toContain("event.not-read");
    expect(box.metrics.read()).toMatchObject({ forwards_faulted_total: 1, webhooks_delivered_total: 1 });
  });

  test("reports the delay of due events as a metric", async () => {
    const box = await createOutbox();
    box.wait(90);
    await box.forward();
    expect(box.metrics.read().webhooks_behind_seconds).toBe(90);
    await box.forward();
    expect(box.metrics.read().webhooks_behind_seconds).toBe(0);
  });

  test("signs with both secrets during a rotation, and with the new one afterwards", async () => {
    const old = `whsec_${Buffer.alloc(24, 7).toString("base64")}`;
    const until = timestamp(START_MS + 3_600_000);
    const signatures = async (seconds: number) => {
      const box = await createOutbox(tenantWith(hook({ previous: { secret: old, until } })));
      box.wait(seconds);
      await box.forward();
      return box.sent[0]!.headers["webhook-signature"]!.split(" ");
    };
    expect(await signatures(3599)).toHaveLength(2);
    expect(await signatures(3600)).toHaveLength(1);
  });

  test("sends to the current webhooks: to a new one, and not to a deleted one", async () => {
    const tenant = tenantWith(hook());
    const box = await createOutbox(tenant);
    await box.keep({ ...tenant, webhooks: [hook({ id: "new", url: "https://new.example.com/" })] });
    expect(await box.forward()).toBe(1);
    expect(box.sent.map(({ url }) => url)).toEqual(["https://new.example.com/"]);
    expect(box.event().GSI2PK).toBeUndefined();
  });

  test("gives up a pending delivery to a webhook that no longer subscribes to its kind, without an attempt", async () => {
    const outbox = await createOutbox(tenantWith(hook(), hook({ id: "chat" })));
    outbox.answer(() => 500);
    await outbox.forward();
    await outbox.keep(tenantWith(hook(), hook({ id: "chat", events: ["isolation.failed"] })));
    outbox.wait(RETRY_SECONDS[0]);
    await outbox.forward();
    const { chat, siem } = outbox.event().forwards as EventItem["forwards"];
    expect(outbox.sent).toHaveLength(3);
    expect(chat).toMatchObject({
      attempts: 1,
      lastError: "the webhook no longer subscribes to this kind of event",
    });
    expect([chat!.deadAt !== undefined, chat!.nextAttemptAt]).toEqual([true, undefined]);
    expect([siem!.attempts, siem!.deadAt]).toEqual([2, undefined]);
    expect(outbox.health().map(({ dead }) => dead)).toEqual([0, 0]);
  });

  test("a test is sent once to the webhook it names: it is not retried and not counted as given up", async () => {
    const tenant = tenantWith(hook({ events: ["isolation.failed"] }), hook({ id: "other" }));
    const box = await createOutbox(tenant, { kind: "webhook.test", data: { webhook: "siem" } });
    box.answer(() => 500);
    await box.forward();
    box.wait(86_400);
    expect(await box.forward()).toBe(0);
    expect(box.sent).toHaveLength(1);
    expect(box.event()).toMatchObject({ forwards: { siem: { deadAt: expect.any(String), status: 500 } } });
    expect(box.health()).toMatchObject([{ webhookId: "siem", failures: 1, dead: 0 }]);
    expect(box.metrics.read().webhooks_dead_total).toBe(0);
  });

  test("retries with the same id after each delay, not earlier, and gives up after the last", async () => {
    const box = await createOutbox();
    box.answer(() => 500);
    await box.forward();
    for (const pause of RETRY_SECONDS) {
      box.wait(pause - 1);
      expect(await box.forward()).toBe(0);
      box.wait(1);
      expect(await box.forward()).toBe(1);
    }
    expect(box.sent).toHaveLength(RETRY_SECONDS.length + 1);
    expect(new Set(box.sent.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
    box.wait(10 * 86_400);
    expect(await box.forward()).toBe(0);
    expect(box.event()).toMatchObject({
      forwards: { siem: { lastError: "answered 500", deadAt: expect.any(String) } },
    });
    expect(box.health()).toMatchObject([{ dead: 1, lastError: "answered 500" }]);
    expect(box.metrics.read().webhooks_dead_total).toBe(1);
    expect(box.logs.at(-1)).toBe("webhook.dead");
  });

  test("a receiver that responds 410 gets no more attempts; a failing receiver delays no other", async () => {
    const gone = await createOutbox();
    gone.answer(() => 410);
    await gone.forward();
    expect(gone.event()).toMatchObject({ forwards: { siem: { deadAt: expect.any(String) } } });
    const two = await createOutbox(tenantWith(hook(), hook({ id: "chat" })));
    let calls = 0;
    two.answer(() => (calls++ === 0 ? 500 : 204));
    await two.forward();
    two.wait(5);
    await two.forward();
    expect(two.sent).toHaveLength(3); // a webhook that already received the event does not receive it again
  });

  test("two concurrent workers deliver an event once", async () => {
    const box = await createOutbox();
    await Promise.all([box.forward(), box.forward()]);
    expect(box.sent).toHaveLength(1);
  });

  test("a receiver that never responds delays no other webhook of its tenant, and a deferral counts as no attempt", async () => {
    const tenant = tenantWith(
      hook({ id: "good", url: "https://good.example.com/" }),
      hook({ id: "bad", url: "https://bad.example.com/" }),
    );
    const box = await createOutbox(tenant);
    box.answer((url) => (url.includes("bad") ? new Promise(() => {}) : 204));
    for (let i = 1; i < 60; i++)
      await box.put(opened(tenant, { eventId: eventIdOf("incident.opened", `number ${i}`) }));
    const startedMs = performance.now();
    while (await box.look(TENANT));
    while (sentTo(box).filter((host) => host === "good.example.com").length < 60) await Bun.sleep(5);
    expect(performance.now() - startedMs).toBeLessThan(2500); // without slots this takes 60 s, because only eight events are sent at a time, for 10 s each
    expect(sentTo(box).filter((host) => host === "bad.example.com")).toHaveLength(2);
    const deferred = await eventually(async () => {
      const forwards = box.events().map(({ forwards }) => forwards as EventItem["forwards"]);
      const waiting = forwards.filter(({ bad }) => bad?.attempts === 0 && bad.nextAttemptAt !== undefined);
      return waiting.length >= 58 && waiting;
    }, 2200);
    expect(deferred).toHaveLength(58);
    expect(deferred.every(({ good }) => good?.deliveredAt !== undefined)).toBe(true);
    expect(box.metrics.read()).toMatchObject({ webhooks_delivered_total: 60, webhooks_deferred_total: 58 });
  }, 20_000);

  const TWO = tenantWith(
    hook({ id: "gone", url: "https://gone.example.com/" }),
    hook({ id: "slow", url: "https://slow.example.com/" }),
  );
  test("a resend during a delivery is sent, and the outcome of that delivery is kept", async () => {
    const box = await createOutbox(TWO);
    box.answer((url) => (url.includes("gone") ? 410 : 500));
    await box.forward();
    expect(box.event()).toMatchObject({ forwards: { gone: { deadAt: expect.any(String) } } });
    box.wait(5);
    box.answer(async () => {
      box.answer(() => 204);
      await box.requeue("gone");
      expect(await box.forward()).toBe(0); // the lease is valid, so no other worker sends the event
      return 204;
    });
    expect(await box.forward()).toBe(1);
    expect(box.event()).toMatchObject({
      forwards: { gone: { attempts: 0 }, slow: { attempts: 2, deliveredAt: expect.any(String) } },
    });
    expect(await box.forward()).toBe(1);
    expect(sentTo(box).slice(2)).toEqual(["slow.example.com", "gone.example.com"]);
    expect(new Set(box.sent.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
    expect(box.event()).toMatchObject({
      forwards: { gone: { attempts: 1, deliveredAt: expect.any(String) } },
    });
    expect(box.event().GSI2PK).toBeUndefined();
  });

  test("a resend to one webhook does not count as an attempt of another", async () => {
    const box = await createOutbox(TWO);
    box.answer((url) => (url.includes("gone") ? 410 : 500));
    await box.forward();
    box.wait(5);
    await box.forward();
    const later = box.event().nextAttemptAt as string; // the next attempt is due five minutes later
    box.wait(120);
    await box.requeue("gone");
    box.answer((url) => (url.includes("gone") ? 503 : 204));
    expect(await box.forward()).toBe(1);
    expect(sentTo(box).slice(3)).toEqual(["gone.example.com"]);
    expect(box.event()).toMatchObject({
      forwards: { gone: { attempts: 1, status: 503 }, slow: { attempts: 2, nextAttemptAt: later } },
      nextAttemptAt: timestamp(START_MS + 130_000),
    });
  });

  test("a worker whose lease expired keeps the outcome of the next worker", async () => {
    const box = await createOutbox();
    box.answer(async () => {
      box.answer(() => 204);
      box.wait(61);
      expect(await box.forward()).toBe(1);
      return 500;
    });
    expect(await box.forward()).toBe(1);
    expect(box.event()).toMatchObject({
      forwards: { siem: { attempts: 1, deliveredAt: expect.any(String) } },
    });
    expect(box.event().GSI2PK).toBeUndefined();
    expect(box.logs).toContain("webhook.lease-lost");
  });

  test("requeueUpdate() accepts a delivery that was given up, and refuses a pending or completed one", async () => {
    const box = await createOutbox();
    await expect(box.requeue("siem")).rejects.toThrow("ConditionalCheckFailed");
    box.answer(() => 500);
    await box.forward();
    await expect(box.requeue("siem")).rejects.toThrow("ConditionalCheckFailed");
    box.wait(5);
    box.answer(() => 410);
    await box.forward();
    expect(box.event().GSI2PK).toBeUndefined();
    await box.requeue("siem");
    await expect(box.requeue("siem")).rejects.toThrow("ConditionalCheckFailed");
    box.answer(() => 204);
    expect(await box.forward()).toBe(1);
    await expect(box.requeue("siem")).rejects.toThrow("ConditionalCheckFailed");
    expect(box.event()).toMatchObject({ resends: 1, forwards: { siem: { attempts: 1 } } });
  });

  test("an event without a subscribed webhook is not in the outbox", () => {
    const tenant = tenantWith(hook({ events: ["isolation.failed"] }));
    expect(opened(tenant).nextAttemptAt).toBeUndefined();
  });
});

describe("createPostWebhook()", () => {
  const REFUSED = [
    "http://example.com/",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://10.1.2.3/",
    "https://169.254.169.254/latest",
    "https://192.168.0.1/",
    "https://localhost/",
    "https://[::ffff:10.0.0.1]/",
    "https://0.0.0.0/",
    "https://2130706433/",
    "https://[fd00::1]/",
  ];
  for (const url of REFUSED) {
    test(`refuses to connect to ${url}`, async () => {
      expect(createPostWebhook(false)(url, {}, "{}")).rejects.toThrow(/target/);
    });
  }
  test("distinguishes public addresses at the boundaries of each range", () => {
    const yes = [
      "9.255.255.255",
      "11.0.0.0",
      "172.15.255.255",
      "172.32.0.0",
      "100.63.255.255",
      "2600::1",
      "8.8.8.8",
    ];
    const no = [
      "10.0.0.0",
      "10.255.255.255",
      "172.16.0.0",
      "172.31.255.255",
      "100.64.0.0",
      "::",
      "fe80::1",
      "64:ff9b::a00:1",
      "2002:a00::1",
      "2001:db8::1",
      "x",
    ];
    expect(yes.filter((address) => !isPublicAddress(address))).toEqual([]);
    expect(no.filter(isPublicAddress)).toEqual([]);
  });
  test("posts to a server, follows no redirect, and returns the status", async () => {
    const paths: string[] = [];
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch(request) {
        paths.push(new URL(request.url).pathname);
        return new URL(request.url).pathname === "/to"
          ? Response.redirect("/other", 302)
          : new Response("ok");
      },
    });
    const post = createPostWebhook(true);
    expect(await post(`http://127.0.0.1:${server.port}/hook`, { a: "b" }, "{}")).toBe(200);
    expect(await post(`http://127.0.0.1:${server.port}/to`, {}, "{}")).toBe(302);
    expect(paths).toEqual(["/hook", "/to"]);
    await server.stop(true);
  });

  test("times out for a silent server, a slow one, and one with endless headers", async () => {
    const misbehave: ((socket: Socket) => void)[] = [
      () => {},
      (socket) => void setInterval(() => socket.write("x"), 20).unref(),
      (socket) => {
        const junk = `x-junk: ${"y".repeat(8000)}\r\n`;
        socket.write("HTTP/1.1 200 OK\r\n");
        setInterval(() => socket.writable && socket.write(junk), 5).unref();
      },
    ];
    for (const how of misbehave) {
      const server = createServer((socket) => {
        socket.on("error", () => {});
        how(socket);
      });
      await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
      const { port } = server.address() as AddressInfo;
      const startMs = performance.now();
      await expect(createPostWebhook(true, 300)(`http://127.0.0.1:${port}/`, {}, "{}")).rejects.toThrow();
      expect(performance.now() - startMs).toBeLessThan(5000);
      server.close();
    }
  });

  test("accepts the status of a response with an endless body", async () => {
    const endless = new ReadableStream({ pull: (to) => void to.enqueue(new Uint8Array(65_536)) });
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response(endless) });
    expect(await createPostWebhook(true)(`http://127.0.0.1:${server.port}/`, {}, "{}")).toBe(200);
    await server.stop(true);
  });
});

describe("targetFault()", () => {
  test("accepts https to a public host, and http or private hosts only if the configuration allows them", () => {
    expect(targetFault("https://hooks.example.com:8443/a?b=c", false)).toBeUndefined();
    expect(targetFault("https://1.1.1.1/", false)).toBeUndefined();
    expect(targetFault("https://bücher.example.com/ä?q=ü", false)).toBeUndefined();
    expect(targetFault("HTTPS://Hooks.Example.com:65535", false)).toBeUndefined();
    expect(targetFault("https://[2606:4700:4700::1111]:1/", false)).toBeUndefined();
    expect(targetFault("http://127.0.0.1:9000/", true)).toBeUndefined();
  });
  const REFUSED = [
    "http://hooks.example.com/",
    "ftp://hooks.example.com/",
    "https://user:secret@hooks.example.com/",
    "https://hooks.example.com/#x",
    "https://metadata.google.internal/",
    "https://printer.local/",
    "https://db.corp./",
    "https://intranet/",
    "https://168.63.129.16/",
    "https://0x7f.1/",
    "https://100.100.100.200/",
    "https://[fd00:ec2::254]/",
    "not a url",
    "https://hooks.example.com:0/",
    " https://hooks.example.com/",
    "https://hooks.example.com/\n",
    "https://hooks.exam\tple.com/",
    "https:\\\\hooks.example.com/",
    "https:hooks.example.com/",
    "https:/hooks.example.com/",
    "https:///hooks.example.com/",
    "https://@hooks.example.com/",
    "https://hooks.example.com/#",
    "https://hooks..example.com/",
    `https://${"a".repeat(64)}.example.com/`,
    `https://${"abc.".repeat(64)}example.com/`,
    "https://hooks.example.com:70000/",
  ];
  for (const url of REFUSED) test(`refuses ${url}`, () => expect(targetFault(url, false)).toMatch(/target/));
  test("refuses user names and other schemes even if private targets are allowed", () => {
    expect(targetFault("http://a:b@127.0.0.1/", true)).toBeDefined();
    expect(targetFault("file:///etc/passwd", true)).toBeDefined();
    expect(targetFault("http://127.0.0.1:0/", true)).toContain("port");
  });
});

describe("ocsfOf()", () => {
  test("uses the ids of the schema: Restore is 3 (4 is Harden), also for a failed release", () => {
    const data = { generation: 2, mode: "network" };
    const typeOf = (kind: EventItem["kind"], action: string) =>
      ocsfOf({ ...opened(), kind, data: { ...data, action } })!.type_uid;
    expect(typeOf("incident.opened", "")).toBe(200_401);
    expect(typeOf("incident.resolved", "")).toBe(200_403);
    expect(typeOf("isolation.proven", "isolate")).toBe(700_101);
    expect(typeOf("isolation.failed", "isolate")).toBe(700_101);
    expect(typeOf("isolation.released", "release")).toBe(700_103);
    expect(typeOf("isolation.failed", "release")).toBe(700_103);
  });

  test("maps every event except a webhook test, with type_uid = class and activity", () => {
    for (const kind of WEBHOOK_EVENTS) {
      const mapped = ocsfOf({ ...opened(), kind });
      if (kind === "webhook.test") expect(mapped).toBeUndefined();
      else {
        expect(mapped!.type_uid).toBe(Number(mapped!.class_uid) * 100 + Number(mapped!.activity_id));
        expect(mapped!.metadata).toMatchObject({ version: OCSF_VERSION, tenant_uid: TENANT });
      }
    }
    expect(ocsfOf(opened())).toMatchObject({
      class_uid: 2004,
      severity_id: 5,
      finding_info: { title: "AI engine open to the network" },
    });
  });
});
