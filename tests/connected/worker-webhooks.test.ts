import { afterAll, beforeAll, expect, test } from "bun:test";
import { startDynamodb } from "../../local/dynamodb.ts";
import type { Stage } from "../../local/stage.ts";
import { createTable, embeddedClient } from "../../local/table.ts";
import { timestamp } from "../../shared/clock.ts";
import { type Dynamo, marshalItem, unmarshalItem } from "../../shared/table/dynamo.ts";
import { eventPut } from "../../shared/table/event-put.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import { eventItem } from "../../shared/table/items/event.ts";
import { webhookHealthItem } from "../../shared/table/items/webhook.ts";
import { eventKey, TABLE_NAME, tenantKey, webhookHealthKey } from "../../shared/table/keys.ts";
import { makeEvent } from "../../shared/table/make-event.ts";
import { createDynamo } from "../../worker/dynamo.ts";
import { eventIdOf } from "../../worker/event-id.ts";
import { forwardDue } from "../../worker/forward.ts";
import { createMetrics } from "../../worker/metrics.ts";
import { createPostWebhook } from "../../worker/webhook-post.ts";
import { makeTenant, TENANT } from "../support/worker-table.ts";

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

test("an event in the outbox of a real table is delivered once over a real socket; one that fails comes again, then is dead", async () => {
  let status = 500;
  const bodies: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
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
    clock: () => now,
    log: () => {},
    metrics: createMetrics(),
    post: createPostWebhook(true),
  };
  const put = async (name: string) => {
    const kind = "isolation.failed" as const;
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
