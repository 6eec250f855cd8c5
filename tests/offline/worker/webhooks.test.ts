import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { timestamp } from "../../../shared/clock.ts";
import { OCSF_VERSION, ocsfOf } from "../../../shared/export/ocsf.ts";
import { webhookHeaders } from "../../../shared/export/standard-webhooks.ts";
import { unmarshalItem } from "../../../shared/table/dynamo.ts";
import { eventPut } from "../../../shared/table/event-put.ts";
import { type EventItem, WEBHOOK_EVENTS } from "../../../shared/table/items.ts";
import { makeEvent } from "../../../worker/events.ts";
import { forwardDue, RETRY_SECONDS } from "../../../worker/forward.ts";
import { createMetrics } from "../../../worker/metrics.ts";
import { createPostWebhook, isPublicAddress, type PostWebhook } from "../../../worker/webhook-post.ts";
import { createMemoryDynamo } from "../../support/memory-dynamo.ts";
import { ASSET, makeTenant, TENANT } from "../../support/worker-table.ts";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const START_MS = Date.parse("2026-11-20T12:00:00.000Z");
const hook = (more = {}) => ({
  id: "siem",
  url: "https://hooks.example.com/lz",
  secret: SECRET,
  events: [],
  ...more,
});
const tenantWith = (...webhooks: ReturnType<typeof hook>[]) => makeTenant({ webhooks });
const opened = (tenant = tenantWith(hook())): EventItem =>
  makeEvent(
    {
      kind: "incident.opened",
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
    },
    "one",
    tenant,
    timestamp(START_MS),
  );

async function createOutbox(tenant = tenantWith(hook())) {
  const table = createMemoryDynamo();
  let now = START_MS;
  const sent: { url: string; headers: Record<string, string>; body: string }[] = [];
  let status: () => number = () => 204;
  const post: PostWebhook = async (url, headers, body) => {
    sent.push({ url, headers, body });
    return status();
  };
  const metrics = createMetrics();
  const logs: string[] = [];
  const deps = {
    dynamo: table.dynamo,
    table: "t",
    clock: () => now,
    log: (_: string, event: string) => void logs.push(event),
    metrics,
    post,
  };
  await table.dynamo("PutItem", eventPut(opened(tenant), "t"));
  return {
    sent,
    logs,
    metrics,
    forward: () => forwardDue(tenant, deps),
    answer: (next: () => number) => {
      status = next;
    },
    wait: (seconds: number) => {
      now += seconds * 1000;
    },
    event: () => unmarshalItem([...table.items.values()].find((item) => item.type?.S === "Event")!),
    health: () =>
      [...table.items.values()].filter((item) => item.type?.S === "WebhookHealth").map(unmarshalItem),
  };
}

describe("webhookHeaders()", () => {
  test("signs as the specification's example does", async () => {
    // Example of the reference libraries (github.com/standard-webhooks/standard-webhooks).
    const headers = await webhookHeaders(
      SECRET,
      "msg_p5jXN8AQM9LWM0D4loKWxJek",
      1614265330,
      '{"test": 2432232314}',
    );
    expect(headers["webhook-signature"]).toBe("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
  });
  test("refuses a secret that is none", async () => {
    expect(webhookHeaders("secret", "id", 1, "{}")).rejects.toThrow("whsec_");
  });
});

describe("forwardDue()", () => {
  test("delivers once, signed over what it sends, and leaves the outbox", async () => {
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
    expect(box.health()).toMatchObject([{ webhookId: "siem", dead: 0 }]);
  });

  test("tries again with the same id after each pause, not before, and gives up after the last, visibly", async () => {
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

  test("a receiver that is gone gets no more; one that fails does not hold back another", async () => {
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
    expect(two.sent).toHaveLength(3); // the one that had it is not told again
  });

  test("two workers at once deliver once", async () => {
    const box = await createOutbox();
    await Promise.all([box.forward(), box.forward()]);
    expect(box.sent).toHaveLength(1);
  });

  test("an event nobody asked for is in no outbox", () => {
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
    test(`does not talk to ${url}`, async () => {
      expect(createPostWebhook(false)(url, {}, "{}")).rejects.toThrow(/target/);
    });
  }
  test("knows the public addresses from the others, at the edges", () => {
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
  test("posts to a server, follows no redirect, and says what it answered", async () => {
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
});

describe("ocsfOf()", () => {
  test("maps every event but the test of a webhook, with a type that is class and activity", () => {
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
