import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { enrolAsset, startTestStack, type TestStack, eventually as within } from "../../support/stack.ts";

/**
 * Tests webhooks end to end: admin API, table, queue, worker, and a receiver that verifies the signatures of
 * deliveries.
 */

/** Timeout in milliseconds, long enough for a busy machine. */
const eventually = <T>(check: () => Promise<T | undefined | false>) => within(check, 40_000);

type Got = { id: string; type: string; isSigned: boolean };
let stack: TestStack;
let status = 204;
let secret = "";
const got: Got[] = [];
const receiver = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  async fetch(request) {
    const id = request.headers.get("webhook-id");
    if (id === null) return new Response("no", { status: 404 });
    const body = await request.text();
    const signed = `${id}.${request.headers.get("webhook-timestamp")}.${body}`;
    const key = Buffer.from(secret.slice("whsec_".length), "base64");
    const wanted = `v1,${createHmac("sha256", key).update(signed).digest("base64")}`;
    const isSigned = request.headers.get("webhook-signature")!.split(" ").includes(wanted);
    got.push({ id, type: (JSON.parse(body) as { type: string }).type, isSigned });
    return new Response(null, { status });
  },
});

beforeAll(async () => {
  stack = await startTestStack("bun", { environment: { LZ_WEBHOOK_PRIVATE: "true" } });
});
afterAll(async () => {
  await stack?.stop();
  await receiver.stop(true);
});

async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const key = crypto.randomUUID();
  const answer = await stack.api(path, {
    method,
    ...(method !== "GET" && { key }),
    ...(body !== undefined && { body }),
  });
  if (!answer.ok) throw new Error(`${method} ${path} was answered ${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as T;
}
type Delivery = {
  eventId: string;
  state: string;
  status?: number;
  latencyMs?: number;
  error?: string;
  kind: string;
  recordedAt: string;
  deadAt?: string;
};

test("a webhook can be created and tested, gets an event of an isolation, shows its failures, and matches the events that a SIEM reads", async () => {
  const made = await ask<{ secret: string; webhook: { webhookId: string } }>("POST", "/v1/webhooks", {
    url: `http://127.0.0.1:${receiver.port}/hook`,
  });
  secret = made.secret;
  const hook = `/v1/webhooks/${made.webhook.webhookId}`;

  // No asset has reported yet. The worker knows this tenant only because the edge has notified the worker.
  const tested = await ask<Delivery>("POST", `${hook}/test`);
  expect(tested).toMatchObject({ state: "delivered", status: 204, kind: "webhook.test" });
  expect(tested.latencyMs).toBeWithin(0, 10_000);
  expect(got).toEqual([{ id: tested.eventId, type: "webhook.test", isSigned: true }]);

  status = 500;
  expect(await ask<Delivery>("POST", `${hook}/test`)).toMatchObject({
    state: "dead",
    status: 500,
    error: "answered 500",
  });
  const asset = await enrolAsset(stack, "told-of");
  await ask("POST", `/v1/assets/${asset.assetId}/isolate`, { justification: "because of the test" });
  const isolation = await eventually(async () => {
    const { items } = await ask<{ items: Delivery[] }>("GET", `${hook}/deliveries?state=waiting`);
    return items.find(({ kind }) => kind === "isolation.requested");
  });
  expect(isolation).toMatchObject({ status: 500, error: "answered 500" });
  expect(await ask("GET", hook)).toMatchObject({ health: { state: "failing", lastError: "answered 500" } });
  status = 204;
  await eventually(async () => got.filter(({ id }) => id === isolation!.eventId).length >= 2);
  await eventually(async () => {
    const { health } = await ask<{ health: { state: string } }>("GET", hook);
    return health.state === "fine";
  });
  expect(got.every(({ isSigned }) => isSigned)).toBe(true);

  const read = await eventually(async () => {
    const page = await ask<{ items: { metadata: { uid: string }; type_uid: number }[] }>(
      "GET",
      "/v1/events/ocsf",
    );
    return page.items.length > 0 ? page.items : undefined;
  });
  expect(read).toMatchObject([{ metadata: { uid: isolation!.eventId }, type_uid: 700_101 }]);
}, 120_000);

test("a dead delivery is resent with its id, once for two parallel requests, and all dead deliveries can be resent together", async () => {
  const { items: hooks } = await ask<{ items: { webhookId: string }[] }>("GET", "/v1/webhooks");
  const hook = `/v1/webhooks/${hooks[0]!.webhookId}`;
  const dead = async () =>
    (await ask<{ items: Delivery[] }>("GET", `${hook}/deliveries?state=dead`)).items.filter(
      ({ kind }) => kind === "isolation.requested",
    );
  const healthOf = async () => (await ask<{ health: { dead: number; state: string } }>("GET", hook)).health;
  const resend = ({ eventId, recordedAt }: Delivery) =>
    stack.api(`${hook}/deliveries/${eventId}/resend`, {
      method: "POST",
      key: crypto.randomUUID(),
      body: { recordedAt },
    });
  const isolate = async (hostname: string) => {
    const { assetId } = await enrolAsset(stack, hostname);
    await ask("POST", `/v1/assets/${assetId}/isolate`, { justification: "because of the test" });
  };
  const sentAs = (id: string) => got.filter((each) => each.id === id);

  status = 410;
  await isolate("gone");
  const first = await eventually(async () => (await dead())[0]);
  expect(await healthOf()).toMatchObject({ dead: 1, state: "failing" });

  // The receiver still rejects deliveries. The resent delivery fails again and is counted once.
  expect((await resend(first!)).status).toBe(202);
  const second = await eventually(async () => (await dead()).find(({ deadAt }) => deadAt !== first!.deadAt));
  expect(second!.eventId).toBe(first!.eventId);
  await eventually(async () => (await healthOf()).dead === 1);

  status = 204;
  const answers = await Promise.all([resend(second!), resend(second!)]);
  expect(answers.map((answer) => answer.status).toSorted()).toEqual([202, 409]);
  await eventually(async () => sentAs(first!.eventId).length >= 3);
  await eventually(async () => (await healthOf()).state === "fine");
  expect(sentAs(first!.eventId)).toHaveLength(3);
  expect(await dead()).toEqual([]);
  const late = await resend(second!);
  expect([late.status, await late.json()]).toMatchObject([
    409,
    { detail: "it was delivered", current: { state: "delivered", status: 204, attempts: 1 } },
  ]);

  status = 410;
  await Promise.all([isolate("gone-too"), isolate("gone-as-well")]);
  const both = await eventually(async () => {
    const found = await dead();
    return found.length === 2 && found;
  });
  status = 204;
  // Test deliveries of this webhook are not resent.
  expect(await ask("POST", `${hook}/resend-dead`, {})).toEqual({ queued: 2 });
  await eventually(async () => (both as Delivery[]).every(({ eventId }) => sentAs(eventId).length === 2));
  expect(await ask("POST", `${hook}/resend-dead`, {})).toEqual({ queued: 0 });
  expect(got.every(({ isSigned }) => isSigned)).toBe(true);

  const { records } = await ask<{ records: { action: string; after?: string }[] }>("GET", "/v1/custody");
  const told = records.filter(({ action }) => action === "resend-deliveries").map(({ after }) => after);
  const one = JSON.stringify({ events: [first!.eventId] });
  expect(told.filter((after) => after === one)).toHaveLength(2);
  expect(told).toHaveLength(3);
}, 180_000);
