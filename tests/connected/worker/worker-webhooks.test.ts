import { afterAll, beforeAll, expect, test } from "bun:test";
import { startDynamodb } from "../../../local/dynamodb.ts";
import type { Stage } from "../../../local/stage.ts";
import { createTable, embeddedClient } from "../../../local/table.ts";
import { eventPut } from "../../../shared/events/event-put.ts";
import { makeEvent } from "../../../shared/events/make-event.ts";
import { requeueUpdate } from "../../../shared/events/requeue.ts";
import { type Dynamo, marshalItem, unmarshalItem } from "../../../shared/table/dynamo.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { eventItem } from "../../../shared/table/items/event.ts";
import { webhookHealthItem } from "../../../shared/table/items/webhook.ts";
import { eventKey, TABLE_NAME, tenantKey, webhookHealthKey } from "../../../shared/table/keys.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { forwardDue } from "../../../worker/deliver/deliver-webhooks.ts";
import { createDeliverySlots } from "../../../worker/deliver/delivery-slots.ts";
import { createPostWebhook } from "../../../worker/deliver/post-webhook.ts";
import { createDynamo } from "../../../worker/platform/dynamodb-client.ts";
import { createMetrics } from "../../../worker/platform/metrics.ts";
import { eventIdOf } from "../../../worker/record/event-id.ts";
import { believing } from "../../support/control/authority.ts";
import { makeTenant, TENANT } from "../../support/dynamo/worker-table.ts";

let stage: Stage;
let dynamo: Dynamo;
beforeAll(async () => {
  const started = await startDynamodb(() => {});
  stage = started.stage;
  const client = embeddedClient(started.endpoint);
  await createTable(client);
  dynamo = createDynamo(client, {
    clock: Date.now,
    pause: (round) => Bun.sleep(20 * round),
    token: () => crypto.randomUUID(),
  });
});
afterAll(() => stage?.stop());

test("an event in the outbox is delivered once, and a failing delivery is retried until it is dead", async () => {
  let status = 500;
  const bodies: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      // An agent on this host can probe this port. The probes have no `webhook-id` header.
      if (!request.headers.has("webhook-id")) return new Response("", { status: 404 });
      bodies.push(await request.text());
      return new Response("", { status });
    },
  });
  const hook = {
    id: "siem",
    url: `http://127.0.0.1:${server.port}/`,
    secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    events: [],
  };
  const tenant = makeTenant({ webhooks: [hook] });
  await dynamo("PutItem", {
    TableName: TABLE_NAME,
    Item: marshalItem({ ...tenantKey(TENANT), ...tenant }),
  });
  let now = Date.parse("2026-11-20T12:00:00.000Z");
  const deps = {
    dynamo,
    table: TABLE_NAME,
    authority: believing(dynamo, undefined, TABLE_NAME),
    clock: () => now,
    log: () => {},
    metrics: createMetrics(),
    post: createPostWebhook(true),
    slots: createDeliverySlots(),
  };
  const put = async (name: string) => {
    const kind = "isolation.requested" as const;
    const told = { kind, eventId: eventIdOf(kind, name), at: timestamp(now), data: { generation: 1 } };
    const event = makeEvent(told, tenant, timestamp(now));
    await dynamo("PutItem", eventPut(event, TABLE_NAME));
    return event;
  };
  const read = async (key: object) =>
    (await dynamo("GetItem", { TableName: TABLE_NAME, Key: marshalItem(key) })).Item!;
  const event = await put("one");
  expect(await forwardDue(TENANT, deps)).toBe(1);
  expect(await forwardDue(TENANT, deps)).toBe(0);
  status = 204;
  now += 5000;
  expect(await forwardDue(TENANT, deps)).toBe(1);
  const stored = await read(eventKey(TENANT, event.recordedAt, event.eventId));
  expect(decodeItem(eventItem, stored).forwards.siem).toMatchObject({
    attempts: 2,
    deliveredAt: timestamp(now),
  });
  expect(unmarshalItem(stored).GSI2PK).toBeUndefined();
  expect(new Set(bodies).size).toBe(1);
  status = 410;
  await put("two");
  await forwardDue(TENANT, deps);
  const health = decodeItem(webhookHealthItem, await read(webhookHealthKey(TENANT, "siem")));
  expect(health).toMatchObject({ dead: 1, lastError: "answered 410", lastDeliveredAt: expect.any(String) });
  await server.stop(true);
});

test("resending during a worker's delivery loses no delivery and keeps its id", async () => {
  const ids = { gone: [] as string[], slow: [] as string[] };
  let answer = async (name: keyof typeof ids): Promise<number> => (name === "gone" ? 410 : 500);
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const name = new URL(request.url).pathname.slice(1) as keyof typeof ids;
      // An agent on this host can probe this port with other paths.
      if (!Object.hasOwn(ids, name)) return new Response("", { status: 404 });
      ids[name].push(request.headers.get("webhook-id")!);
      return new Response("", { status: await answer(name) });
    },
  });
  const tenantId = "org_again";
  const hook = (id: string) => ({
    id,
    url: `http://127.0.0.1:${server.port}/${id}`,
    secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    events: [],
  });
  const tenant = makeTenant({ tenantId, webhooks: [hook("gone"), hook("slow")] });
  await dynamo("PutItem", {
    TableName: TABLE_NAME,
    Item: marshalItem({ ...tenantKey(tenantId), ...tenant }),
  });
  let now = Date.parse("2026-11-20T12:00:00.000Z");
  const post = createPostWebhook(true);
  const slots = createDeliverySlots();
  const deps = {
    dynamo,
    table: TABLE_NAME,
    authority: believing(dynamo, undefined, TABLE_NAME),
    clock: () => now,
    log: () => {},
    metrics: createMetrics(),
    post,
    slots,
  };
  const told = { kind: "isolation.requested" as const, eventId: "evt_again", at: timestamp(now), data: {} };
  const { recordedAt, eventId } = makeEvent(told, tenant, timestamp(now));
  await dynamo("PutItem", eventPut(makeEvent(told, tenant, recordedAt), TABLE_NAME));
  const stored = async () => {
    const Key = marshalItem(eventKey(tenantId, recordedAt, eventId));
    return decodeItem(eventItem, (await dynamo("GetItem", { TableName: TABLE_NAME, Key })).Item!);
  };
  const requeue = async (id: string) =>
    dynamo("UpdateItem", requeueUpdate(await stored(), id, now, TABLE_NAME));

  await forwardDue(tenantId, deps);
  await expect(requeue("slow")).rejects.toThrow("ConditionalCheckFailed"); // The delivery is still waiting, so it cannot be queued again.
  now += 5000;
  answer = async () => {
    answer = async () => 204;
    await requeue("gone");
    return 204;
  };
  expect(await forwardDue(tenantId, deps)).toBe(1);
  expect((await stored()).forwards).toMatchObject({
    gone: { attempts: 0 },
    slow: { attempts: 2, deliveredAt: timestamp(now) },
  });
  expect(await forwardDue(tenantId, deps)).toBe(1);
  expect((await stored()).forwards.gone).toMatchObject({ attempts: 1, deliveredAt: timestamp(now) });
  expect(ids).toEqual({ gone: [eventId, eventId], slow: [eventId, eventId] });
  expect(await forwardDue(tenantId, deps)).toBe(0);

  // This event is no longer in the outbox index. The requeue adds the event to that index again.
  answer = async () => 410;
  await dynamo(
    "PutItem",
    eventPut(makeEvent({ ...told, eventId: "evt_other" }, tenant, recordedAt), TABLE_NAME),
  );
  await forwardDue(tenantId, deps);
  expect(await forwardDue(tenantId, deps)).toBe(0);
  const Key = marshalItem(eventKey(tenantId, recordedAt, "evt_other"));
  const other = decodeItem(eventItem, (await dynamo("GetItem", { TableName: TABLE_NAME, Key })).Item!);
  await dynamo("UpdateItem", requeueUpdate(other, "slow", now, TABLE_NAME));
  answer = async () => 204;
  expect(await forwardDue(tenantId, deps)).toBe(1);
  expect(ids.gone.filter((id) => id === "evt_other")).toHaveLength(1);
  expect(ids.slow.filter((id) => id === "evt_other")).toHaveLength(2);
  await server.stop(true);
});
