import { beforeEach, describe, expect, test } from "bun:test";
import { RESENT_MAX } from "../../../../../edge/control/webhooks/resend-deliveries.ts";
import { eventPut } from "../../../../../shared/events/event-put.ts";
import { makeEvent } from "../../../../../shared/events/make-event.ts";
import { type Dynamo, marshalItem, unmarshalItem } from "../../../../../shared/table/dynamo.ts";
import { decodeItem } from "../../../../../shared/table/items/decode.ts";
import { type EventItem, eventItem } from "../../../../../shared/table/items/event.ts";
import { tenantItem } from "../../../../../shared/table/items/tenant.ts";
import { webhookHealthItem } from "../../../../../shared/table/items/webhook.ts";
import { outbox, webhookHealthKey } from "../../../../../shared/table/keys.ts";
import { timestamp } from "../../../../../shared/time/clock.ts";
import { createMemoryDynamo, type MemoryDynamo } from "../../../../support/dynamo/memory-dynamo.ts";
import { makeTenant } from "../../../../support/dynamo/worker-table.ts";
import { makeAdminApp } from "../../../../support/edge/admin-app.ts";
import { TENANT_ID } from "../../../../support/edge/edge-app.ts";
import { faultOf } from "../../../../support/edge/openapi-operation.ts";

type Body = Record<string, unknown> & { items: Record<string, unknown>[] };
const URL_A = "https://hooks.example.com/a";

let table: MemoryDynamo;
/** Takes the place of the worker. Runs while the app waits for the outcome of a delivery. */
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
  test("createWebhook returns the secret in the first response only, and records who created the webhook", async () => {
    const key = crypto.randomUUID();
    const first = await ask("POST", "/v1/webhooks", { url: URL_A, events: ["incident.opened"] }, key);
    expect(first.status).toBe(201);
    const secret = first.body.secret as string;
    expect(Buffer.from(secret.slice("whsec_".length), "base64")).toHaveLength(24);
    const again = await ask("POST", "/v1/webhooks", { url: URL_A, events: ["incident.opened"] }, key);
    expect<unknown>(again.body).toEqual({ webhook: first.body.webhook });
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
    test(`createWebhook and changeWebhook reject ${url} and write nothing`, async () => {
      const { id } = await create();
      const before = [...table.items.keys()];
      expect((await ask("POST", "/v1/webhooks", { url })).body).toMatchObject({
        code: "admin.invalid",
      });
      expect((await ask("PUT", `/v1/webhooks/${id}`, { url })).status).toBe(400);
      expect([...table.items.keys()]).toEqual(before);
    });
  }

  test("createWebhook accepts private http addresses if the configuration allows them, as in development", async () => {
    world.deps.allowPrivateWebhooks = true;
    const made = await ask("POST", "/v1/webhooks", { url: "http://127.0.0.1:9000/hook" });
    world.deps.allowPrivateWebhooks = false;
    expect(made.status).toBe(201);
  });

  test("a tenant can have ten webhooks and no more, even with parallel requests", async () => {
    const statuses = await Promise.all(
      Array.from({ length: 11 }, async () => (await ask("POST", "/v1/webhooks", { url: URL_A })).status),
    );
    expect(statuses.toSorted()).toEqual([...Array.from({ length: 10 }, () => 201), 409]);
    expect(new Set(stored().webhooks.map(({ secret }) => secret)).size).toBe(10);
  });

  test("changeWebhook replaces the address and keeps the secret, and settings changed at the same time are kept", async () => {
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
    expect(changed.body).toMatchObject({ webhookId: id, url, events: ["isolation.failed"] });
    expect(stored()).toMatchObject({ retentionDays: 30, webhooks: [{ id, url, secret }] });
    expect((await ask("PUT", "/v1/webhooks/no-such", { url })).status).toBe(404);
  });

  test("rotateWebhookSecret returns the new secret once, and keeps the old one for a day", async () => {
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
    expect(again.body).toMatchObject({ webhook: { previousSecretUntil: until } });
    expect(JSON.stringify(records())).not.toContain(secret.slice(6));
  });

  test("deleteWebhook deletes the webhook and its secrets once, with a record", async () => {
    const { id } = await create();
    expect((await ask("DELETE", `/v1/webhooks/${id}`)).status).toBe(200);
    expect(stored().webhooks).toEqual([]);
    expect((await ask("GET", `/v1/webhooks/${id}`)).status).toBe(404);
    expect((await ask("DELETE", `/v1/webhooks/${id}`)).status).toBe(404);
    expect(records().at(-1)).toMatchObject({ action: "delete-webhook", target: id });
  });
});

describe("testWebhook", () => {
  /** Returns a function that writes a delivery outcome to the event, as a worker does. */
  const outcome = (id: string, forward: Forward) => async () => {
    const [event] = events();
    const done = { ...event!, forwards: { [id]: forward } };
    delete done.nextAttemptAt;
    await table.dynamo("PutItem", eventPut(done, "t"));
  };

  test("notifies the worker, waits for the delivery, and returns its status, latency and error", async () => {
    const { id } = await create();
    const at = timestamp(world.state.nowMs);
    const failed = { attempts: 1, status: 500, latencyMs: 42, lastError: "answered 500", deadAt: at };
    meanwhile = outcome(id, failed);
    const { body } = await ask("POST", `/v1/webhooks/${id}/test`);
    expect(body).toMatchObject({ state: "dead", status: 500, latencyMs: 42, error: "answered 500" });
    expect(nudged).toEqual([TENANT_ID]);
    expect(events()).toMatchObject([{ kind: "webhook.test", data: { webhook: id } }]);
    meanwhile = outcome(id, { attempts: 1, status: 200, latencyMs: 7, deliveredAt: at });
    await table.dynamo("PutItem", eventPut({ ...events()[0]!, forwards: {} }, "t"));
    const other = await create();
    expect((await ask("POST", `/v1/webhooks/${other.id}/test`)).status).toBe(200);
  });

  test("says that the delivery waits if no worker takes it, and a repeated request checks again and sends nothing more", async () => {
    const { id } = await create();
    const key = crypto.randomUUID();
    const first = await ask("POST", `/v1/webhooks/${id}/test`, undefined, key);
    expect(first.body).toMatchObject({ state: "waiting", attempts: 0 });
    const at = timestamp(world.state.nowMs);
    await outcome(id, { attempts: 1, status: 204, latencyMs: 3, deliveredAt: at })();
    const again = await ask("POST", `/v1/webhooks/${id}/test`, undefined, key);
    expect(again.body).toMatchObject({ state: "delivered", status: 204, latencyMs: 3 });
    expect(events()).toHaveLength(1);
  });

  test("of an unknown webhook returns 404 and writes no event", async () => {
    expect((await ask("POST", "/v1/webhooks/no-such/test")).status).toBe(404);
    expect(events()).toEqual([]);
  });

  test("a queue that is down does not fail the change, because the event waits in the outbox", async () => {
    nudge = () => Promise.reject(new Error("away"));
    const { id } = await create();
    const answer = await ask("POST", `/v1/webhooks/${id}/test`);
    expect(answer.status).toBe(200);
    expect(events()).toHaveLength(1);
  });
});

describe("listDeliveries", () => {
  test("returns the result of each event for this webhook, filtered by state, page by page", async () => {
    const { id } = await create();
    const tenant = makeTenant({ tenantId: TENANT_ID, webhooks: stored().webhooks });
    const at = timestamp(world.state.nowMs);
    const forwards = [
      { attempts: 1, status: 200, latencyMs: 5, deliveredAt: at },
      { attempts: 2, status: 503, latencyMs: 9, lastError: "answered 503" },
      { attempts: 10, latencyMs: 10_000, lastError: "no response within 10000 ms", deadAt: at },
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

type Forward = EventItem["forwards"][string];
const DEAD_AT = "2026-11-01T00:00:00.000Z";
const DEAD = { attempts: 10, status: 503, latencyMs: 9, lastError: "answered 503", deadAt: DEAD_AT };
/** Stores an event with a delivery. `number`: position of the event in time, where 0 is the oldest event. */
async function tellOf(id: string, number: number, forward: Forward, more: Partial<EventItem> = {}) {
  const told = { kind: "incident.opened" as const, eventId: `evt_${number}`, at: DEAD_AT, data: {} };
  const recordedAt = timestamp(Date.parse(DEAD_AT) + number);
  const tenant = makeTenant({ tenantId: TENANT_ID });
  const event = { ...makeEvent(told, tenant, recordedAt), forwards: { [id]: forward }, ...more };
  await table.dynamo("PutItem", eventPut(event, "t"));
  return event;
}
const keepHealth = (id: string, more: object) => {
  const health = webhookHealthItem.parse({
    type: "WebhookHealth",
    tenantId: TENANT_ID,
    webhookId: id,
    ...more,
  });
  const Item = marshalItem({ ...webhookHealthKey(TENANT_ID, id), ...health });
  return table.dynamo("PutItem", { TableName: "t", Item });
};
const healthOf = async (id: string) =>
  (await ask("GET", `/v1/webhooks/${id}`)).body.health as unknown as Record<string, unknown>;
const inOutbox = () =>
  [...table.items.values()].filter(({ GSI2PK }) => GSI2PK?.S === outbox(TENANT_ID)).map(unmarshalItem);
const resent = () => records().filter(({ action }) => action === "resend-deliveries");

describe("resendDelivery", () => {
  const again = (id: string, { eventId, recordedAt }: EventItem, key?: string) =>
    ask("POST", `/v1/webhooks/${id}/deliveries/${eventId}/resend`, { recordedAt }, key);

  test("puts a dead delivery back into the outbox with a record, and notifies a worker; a repeated request changes nothing", async () => {
    const { id } = await create();
    const event = await tellOf(id, 1, DEAD);
    await keepHealth(id, { failures: 10, dead: 2, lastFailedAt: DEAD_AT, lastError: "answered 503" });
    const key = crypto.randomUUID();
    const first = await again(id, event, key);
    const at = timestamp(world.state.nowMs);
    expect(first.status).toBe(202);
    expect(first.body).toMatchObject({ eventId: "evt_1", state: "waiting", attempts: 0 });
    expect(first.body).not.toHaveProperty("deadAt");
    expect(await again(id, event, key)).toEqual(first);
    const [waiting, ...more] = inOutbox();
    expect(more).toEqual([]);
    expect(waiting!.forwards).toEqual({ [id]: { attempts: 0 } });
    expect((waiting!.nextAttemptAt as string) >= at).toBe(true);
    expect(waiting!.GSI2SK).toBe(`${waiting!.nextAttemptAt}#evt_1`);
    expect(resent()).toMatchObject([{ target: id, operatorId: "user_mara", after: '{"events":["evt_1"]}' }]);
    expect(nudged).toEqual([TENANT_ID]);
    expect(await healthOf(id)).toMatchObject({ state: "failing", failures: 10, dead: 1 });
  });

  test("if two admins resend at the same time, one succeeds with one record, and the other learns that the delivery waits", async () => {
    const { id } = await create();
    const event = await tellOf(id, 1, DEAD);
    const answers = await Promise.all([again(id, event), again(id, event)]);
    const [done, refused] = answers.toSorted((a, b) => a.status - b.status);
    expect([done!.status, refused!.status]).toEqual([202, 409]);
    expect(refused!.body).toMatchObject({
      code: "admin.conflict",
      detail: "it has not failed: it is waiting to be sent",
      current: { eventId: "evt_1", state: "waiting", attempts: 0 },
    });
    expect(resent()).toHaveLength(1);
    expect(inOutbox()).toMatchObject([{ resends: 1 }]);
  });

  const OTHER = "the webhook no longer receives isolation.failed events";
  const refusals: [string, Forward, Partial<EventItem>, string][] = [
    ["that was delivered", { attempts: 1, deliveredAt: DEAD_AT }, {}, "it was delivered"],
    [
      "that waits",
      { attempts: 3 },
      { nextAttemptAt: DEAD_AT },
      "it has not failed: it is waiting to be sent",
    ],
    ["that is a test", DEAD, { kind: "webhook.test" }, "a test is sent only once: send a new test"],
    ["of a kind that the webhook no longer subscribes to", DEAD, { kind: "isolation.failed" }, OTHER],
  ];
  for (const [what, forward, more, detail] of refusals) {
    test(`of one ${what} returns 409 with the current state and writes nothing`, async () => {
      const { id } = await create({ events: ["incident.opened"] });
      const event = await tellOf(id, 1, forward, more);
      const before = structuredClone([...table.items]);
      const { status, body } = await again(id, event);
      expect([status, body.detail]).toEqual([409, detail]);
      expect(body.current).toMatchObject({ eventId: "evt_1", kind: event.kind });
      expect([...table.items]).toEqual(before);
      expect(nudged).toEqual([]);
    });
  }

  test("returns 404 for another webhook, another time, another id, or a deleted webhook", async () => {
    const [{ id }, other] = [await create(), await create()];
    const event = await tellOf(id, 1, DEAD);
    expect((await again(other.id, event)).status).toBe(404);
    expect((await again(id, { ...event, recordedAt: timestamp(world.state.nowMs) })).status).toBe(404);
    expect((await again(id, { ...event, eventId: "evt_2" })).status).toBe(404);
    expect((await again(id, { ...event, recordedAt: "yesterday" })).status).toBe(400);
    await ask("DELETE", `/v1/webhooks/${id}`);
    expect((await again(id, event)).status).toBe(404);
    expect(resent()).toEqual([]);
    expect(inOutbox()).toEqual([]);
  });

  test("does not change the count of dead deliveries since the last success if the delivery died before that", async () => {
    const { id } = await create();
    const event = await tellOf(id, 1, DEAD);
    const lastDeliveredAt = timestamp(Date.parse(DEAD_AT) + 1);
    await keepHealth(id, { failures: 1, dead: 1, lastDeliveredAt });
    expect((await again(id, event)).status).toBe(202);
    expect(await healthOf(id)).toMatchObject({ dead: 1 });
  });

  test("keeps an attempt that is due soon, because a worker possibly has the event, and brings a later attempt forward", async () => {
    const { id } = await create();
    const due = async (seconds: number) => {
      const nextAttemptAt = timestamp(world.state.nowMs + seconds * 1000);
      const event = await tellOf(id, seconds, DEAD, { nextAttemptAt });
      expect((await again(id, event)).status).toBe(202);
      const is = inOutbox().find(({ eventId }) => eventId === event.eventId)!.nextAttemptAt as string;
      return is === nextAttemptAt ? "kept" : "brought forward";
    };
    expect(await due(60)).toBe("kept");
    expect(await due(3600)).toBe("brought forward");
  });
});

describe("resendDeadDeliveries", () => {
  const again = (id: string, body: object = {}) => ask("POST", `/v1/webhooks/${id}/resend-dead`, body);
  const waiting = () => inOutbox().map(({ eventId }) => eventId as string);

  test("resends dead deliveries that are still subscribed, oldest first, in limited batches", async () => {
    const { id } = await create({ events: ["incident.opened"] });
    await tellOf(id, 0, { attempts: 1, deliveredAt: DEAD_AT });
    for (let number = 1; number <= RESENT_MAX + 1; number++) await tellOf(id, number, DEAD);
    await tellOf(id, 90, DEAD, { kind: "webhook.test" });
    await tellOf(id, 91, DEAD, { kind: "isolation.failed" });
    await tellOf("another", 92, DEAD);
    await keepHealth(id, { failures: 510, dead: RESENT_MAX + 1 });
    const { status, body } = await again(id);
    const { cursor } = body;
    expect<unknown>([status, body]).toEqual([202, { queued: RESENT_MAX, cursor }]);
    expect(waiting()).toEqual(Array.from({ length: RESENT_MAX }, (_, index) => `evt_${index + 1}`));
    expect(await healthOf(id)).toMatchObject({ dead: 1 });
    expect<unknown>((await again(id, { cursor })).body).toEqual({ queued: 1 });
    expect(waiting()).toHaveLength(RESENT_MAX + 1);
    expect(await healthOf(id)).toMatchObject({ dead: 0 });
    const before = structuredClone([...table.items]);
    nudged.length = 0;
    expect<unknown>(await again(id)).toEqual({ status: 202, body: { queued: 0 } });
    expect([...table.items]).toEqual(before);
    expect(nudged).toEqual([]);
    const events = resent().map(({ after }) => (JSON.parse(after as string) as { events: string[] }).events);
    expect(events.flat()).toEqual(waiting());
  });

  test("says that there are no more after the last one", async () => {
    const { id } = await create();
    for (let number = 1; number <= RESENT_MAX; number++) await tellOf(id, number, DEAD);
    expect<unknown>((await again(id)).body).toEqual({ queued: RESENT_MAX });
  });

  test("if two admins resend at the same time, one resends all of them with one record, and the other none", async () => {
    const { id } = await create();
    for (const number of [1, 2, 3]) await tellOf(id, number, DEAD);
    const answers = await Promise.all([again(id), again(id)]);
    expect(answers.map(({ body }) => body.queued as unknown).toSorted()).toEqual([0, 3]);
    expect(resent()).toHaveLength(1);
    expect(inOutbox().map(({ resends }) => resends)).toEqual([1, 1, 1]);
  });

  test("reads a limited part of the table, and continues from there", async () => {
    const { id } = await create();
    const delivered = { attempts: 1, deliveredAt: DEAD_AT };
    for (let number = 0; number < 4000; number++) await tellOf(id, number, delivered);
    await tellOf(id, 4000, DEAD);
    const { queued, cursor } = (await again(id)).body;
    expect(queued).toBe(0);
    expect<unknown>((await again(id, { cursor })).body).toEqual({ queued: 1 });
  });

  test("accepts only a cursor of its own webhook, and no deleted webhook", async () => {
    const [{ id }, other] = [await create(), await create()];
    for (let number = 0; number <= RESENT_MAX; number++) await tellOf(id, number, DEAD);
    const { cursor } = (await again(id)).body;
    expect(cursor).toBeString();
    expect((await again(other.id, { cursor })).status).toBe(400);
    await ask("DELETE", `/v1/webhooks/${id}`);
    expect((await again(id)).status).toBe(404);
    expect(resent()).toHaveLength(1);
  });
});
