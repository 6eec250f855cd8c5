import { beforeEach, describe, expect, test } from "bun:test";
import { timestamp } from "../../../shared/clock.ts";
import { type Dynamo, unmarshalItem } from "../../../shared/table/dynamo.ts";
import { eventPut } from "../../../shared/table/event-put.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { eventItem } from "../../../shared/table/items/event.ts";
import { tenantItem } from "../../../shared/table/items/tenant.ts";
import { makeEvent } from "../../../shared/table/make-event.ts";
import { makeAdminApp } from "../../support/admin-app.ts";
import { TENANT_ID } from "../../support/edge-app.ts";
import { createMemoryDynamo, type MemoryDynamo } from "../../support/memory-dynamo.ts";
import { faultOf } from "../../support/spec.ts";
import { makeTenant } from "../../support/worker-table.ts";

type Body = Record<string, unknown> & { items: Record<string, unknown>[] };
const URL_A = "https://hooks.example.com/a";

let table: MemoryDynamo;
/** Runs when the app waits for an outcome: what a worker does meanwhile. */
let meanwhile: () => Promise<void>;
let nudge: (tenantId: string) => Promise<void>;
const nudged: string[] = [];
const dynamo = ((operation: never, input: never) => table.dynamo(operation, input)) as unknown as Dynamo;
const world = await makeAdminApp({ dynamo, pause: () => meanwhile(), nudge: (tenantId) => nudge(tenantId) });
const token = await world.session();
beforeEach(() => {
  table = createMemoryDynamo();
  meanwhile = async () => {};
  nudged.length = 0;
  nudge = async (tenantId) => void nudged.push(tenantId);
});

async function ask(method: string, path: string, body?: unknown, key: string = crypto.randomUUID()) {
  const answer = await world.ask(path, token, {
    method,
    headers: { "idempotency-key": key, ...(body !== undefined && { "content-type": "application/json" }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  expect(await faultOf(method, path, answer)).toBeUndefined();
  return { status: answer.status, body: (await answer.json()) as Body };
}
const create = async (more: object = {}) => {
  const { body } = await ask("POST", "/v1/webhooks", { url: URL_A, ...more });
  return { secret: body.secret as string, id: (body.webhook as { webhookId: string }).webhookId };
};
const stored = () =>
  decodeItem(tenantItem, [...table.items.values()].find((item) => item.type?.S === "Tenant")!);
const records = () =>
  [...table.items.values()].filter((item) => item.type?.S === "Audit").map((item) => unmarshalItem(item));
const events = () =>
  [...table.items.values()]
    .filter(({ type }) => type?.S === "Event")
    .map((item) => decodeItem(eventItem, item));

describe("webhooks", () => {
  test("createWebhook tells its secret in the first answer and nowhere else, and records who made it", async () => {
    const key = crypto.randomUUID();
    const first = await ask("POST", "/v1/webhooks", { url: URL_A, events: ["incident.opened"] }, key);
    expect(first.status).toBe(201);
    const secret = first.body.secret as string;
    expect(Buffer.from(secret.slice("whsec_".length), "base64")).toHaveLength(24);
    const again = await ask("POST", "/v1/webhooks", { url: URL_A, events: ["incident.opened"] }, key);
    expect(again.body).toEqual({ webhook: first.body.webhook } as never);
    const { webhookId } = first.body.webhook as { webhookId: string };
    const seen = [
      await ask("GET", "/v1/webhooks"),
      await ask("GET", `/v1/webhooks/${webhookId}`),
      await ask("GET", "/v1/settings"),
      await ask("GET", "/v1/custody"),
      world.state.logged,
    ];
    expect(JSON.stringify(seen)).not.toContain(secret.slice(6));
    expect(stored().webhooks).toMatchObject([{ id: webhookId, url: URL_A, secret, createdBy: "user_mara" }]);
    expect(records()).toMatchObject([
      { action: "create-webhook", target: webhookId, operatorId: "user_mara" },
    ]);
  });

  for (const url of [
    "http://hooks.example.com/",
    "https://10.0.0.1/",
    "https://169.254.169.254/",
    "https://u:p@a.example/",
  ]) {
    test(`createWebhook and changeWebhook refuse ${url} and write nothing`, async () => {
      const { id } = await create();
      const before = [...table.items.keys()];
      expect((await ask("POST", "/v1/webhooks", { url })).body).toMatchObject({
        code: "admin.invalid",
      } as never);
      expect((await ask("PUT", `/v1/webhooks/${id}`, { url })).status).toBe(400);
      expect([...table.items.keys()]).toEqual(before);
    });
  }

  test("createWebhook takes private http targets where configuration allows it, as in development", async () => {
    world.deps.allowPrivateWebhooks = true;
    const made = await ask("POST", "/v1/webhooks", { url: "http://127.0.0.1:9000/hook" });
    world.deps.allowPrivateWebhooks = false;
    expect(made.status).toBe(201);
  });

  test("ten there may be, and no eleventh, also when they come at once", async () => {
    const statuses = await Promise.all(
      Array.from({ length: 11 }, async () => (await ask("POST", "/v1/webhooks", { url: URL_A })).status),
    );
    expect(statuses.toSorted()).toEqual([...Array.from({ length: 10 }, () => 201), 409]);
    expect(new Set(stored().webhooks.map(({ secret }) => secret)).size).toBe(10);
  });

  test("changeWebhook replaces where it goes and keeps its secret; settings changed meanwhile stay", async () => {
    const { id, secret } = await create();
    const settings = (await ask("GET", "/v1/settings")).body;
    const put = await world.ask("/v1/settings", token, {
      method: "PUT",
      headers: {
        "content-type": "application/json",
        "idempotency-key": crypto.randomUUID(),
        "if-match": '"0"',
      },
      body: JSON.stringify({ ...settings, retentionDays: 30 }),
    });
    expect(put.status).toBe(200);
    const url = "https://hooks.example.com/b";
    const changed = await ask("PUT", `/v1/webhooks/${id}`, { url, events: ["isolation.failed"] });
    expect(changed.body).toMatchObject({ webhookId: id, url, events: ["isolation.failed"] } as never);
    expect(stored()).toMatchObject({ retentionDays: 30, webhooks: [{ id, url, secret }] });
    expect((await ask("PUT", "/v1/webhooks/no-such", { url })).status).toBe(404);
  });

  test("rotateWebhookSecret tells the new secret once, and keeps the old one for a day", async () => {
    const { id, secret } = await create();
    const key = crypto.randomUUID();
    const why = { justification: "an employee left" };
    const rotated = await ask("POST", `/v1/webhooks/${id}/rotate-secret`, why, key);
    expect(rotated.body.secret).not.toBe(secret);
    const until = stored().webhooks[0]!.previous!.until;
    expect(Date.parse(until) - world.state.nowMs).toBeWithin(24 * 3_600_000, 24 * 3_600_000 + 1000);
    expect(stored().webhooks).toMatchObject([{ secret: rotated.body.secret, previous: { secret, until } }]);
    const again = await ask("POST", `/v1/webhooks/${id}/rotate-secret`, why, key);
    expect(again.body).not.toHaveProperty("secret");
    expect(again.body).toMatchObject({ webhook: { previousSecretUntil: until } } as never);
    expect(JSON.stringify(records())).not.toContain(secret.slice(6));
  });

  test("deleteWebhook takes it away with its secrets, once, on record", async () => {
    const { id } = await create();
    expect((await ask("DELETE", `/v1/webhooks/${id}`)).status).toBe(200);
    expect(stored().webhooks).toEqual([]);
    expect((await ask("GET", `/v1/webhooks/${id}`)).status).toBe(404);
    expect((await ask("DELETE", `/v1/webhooks/${id}`)).status).toBe(404);
    expect(records().at(-1)).toMatchObject({ action: "delete-webhook", target: id });
  });
});

describe("testWebhook", () => {
  /** What a worker leaves on the event. */
  const outcome = (id: string, forward: object) => async () => {
    const [event] = events();
    const done = { ...event!, forwards: { [id]: forward as never } };
    delete done.nextAttemptAt;
    await table.dynamo("PutItem", eventPut(done, "t"));
  };

  test("tells the worker, waits for it, and tells status, latency and error as they were", async () => {
    const { id } = await create();
    const at = timestamp(world.state.nowMs);
    const failed = { attempts: 1, status: 500, latencyMs: 42, lastError: "answered 500", deadAt: at };
    meanwhile = outcome(id, failed);
    const { body } = await ask("POST", `/v1/webhooks/${id}/test`);
    expect(body).toMatchObject({ state: "dead", status: 500, latencyMs: 42, error: "answered 500" } as never);
    expect(nudged).toEqual([TENANT_ID]);
    expect(events()).toMatchObject([{ kind: "webhook.test", data: { webhook: id } }]);
    meanwhile = outcome(id, { attempts: 1, status: 200, latencyMs: 7, deliveredAt: at });
    await table.dynamo("PutItem", eventPut({ ...events()[0]!, forwards: {} }, "t"));
    const other = await create();
    expect((await ask("POST", `/v1/webhooks/${other.id}/test`)).status).toBe(200);
  });

  test("says that it waits when no worker comes, and a repeat looks again and sends nothing more", async () => {
    const { id } = await create();
    const key = crypto.randomUUID();
    const first = await ask("POST", `/v1/webhooks/${id}/test`, undefined, key);
    expect(first.body).toMatchObject({ state: "waiting", attempts: 0 } as never);
    const at = timestamp(world.state.nowMs);
    await outcome(id, { attempts: 1, status: 204, latencyMs: 3, deliveredAt: at })();
    const again = await ask("POST", `/v1/webhooks/${id}/test`, undefined, key);
    expect(again.body).toMatchObject({ state: "delivered", status: 204, latencyMs: 3 } as never);
    expect(events()).toHaveLength(1);
  });

  test("of a webhook that is not there is 404 and writes no event", async () => {
    expect((await ask("POST", "/v1/webhooks/no-such/test")).status).toBe(404);
    expect(events()).toEqual([]);
  });

  test("a queue that is away does not fail the change: the event waits in the outbox all the same", async () => {
    nudge = () => Promise.reject(new Error("away"));
    const { id } = await create();
    const answer = await ask("POST", `/v1/webhooks/${id}/test`);
    expect(answer.status).toBe(200);
    expect(events()).toHaveLength(1);
  });
});

describe("listDeliveries", () => {
  test("tells what came of each event for this webhook, narrowed by state, page by page", async () => {
    const { id } = await create();
    const tenant = makeTenant({ tenantId: TENANT_ID, webhooks: stored().webhooks });
    const at = timestamp(world.state.nowMs);
    const forwards = [
      { attempts: 1, status: 200, latencyMs: 5, deliveredAt: at },
      { attempts: 2, status: 503, latencyMs: 9, lastError: "answered 503" },
      { attempts: 10, latencyMs: 10_000, lastError: "did not answer within 10000 ms", deadAt: at },
    ];
    for (const [number, forward] of forwards.entries()) {
      const told = { kind: "incident.opened" as const, eventId: `evt_${number}`, at, data: {} };
      const event = makeEvent(told, tenant, timestamp(world.state.nowMs + number));
      await table.dynamo("PutItem", eventPut({ ...event, forwards: { [id]: forward } }, "t"));
    }
    const other = makeEvent({ kind: "incident.opened", eventId: "evt_x", at, data: {} }, tenant, at);
    await table.dynamo("PutItem", eventPut({ ...other, forwards: { other: forwards[0]! } }, "t"));
    const list = async (query: string) => (await ask("GET", `/v1/webhooks/${id}/deliveries${query}`)).body;
    const ids = async (query: string) => (await list(query)).items.map(({ eventId }) => eventId);
    expect(await ids("")).toEqual(["evt_2", "evt_1", "evt_0"]);
    expect(await ids("?state=delivered")).toEqual(["evt_0"]);
    expect(await ids("?state=waiting")).toEqual(["evt_1"]);
    expect(await ids("?state=dead")).toEqual(["evt_2"]);
    expect((await list("?state=waiting")).items).toMatchObject([
      { attempts: 2, status: 503, error: "answered 503", nextAttemptAt: expect.any(String) },
    ]);
    const seen: unknown[] = [];
    let page = await list("?limit=1");
    for (seen.push(...page.items); page.cursor; seen.push(...page.items))
      page = await list(`?limit=1&cursor=${page.cursor}`);
    expect(seen).toHaveLength(3);
  });
});
