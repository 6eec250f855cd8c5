import { describe, expect, test } from "bun:test";
import { DynamoFault, marshalItem } from "../../../../../shared/table/dynamo.ts";
import { tenantDefaults } from "../../../../../shared/table/items/tenant.ts";
import { assetKey, tenantKey } from "../../../../../shared/table/keys.ts";
import { interceptDynamo } from "../../../../support/dynamo/intercept-dynamo.ts";
import { createMemoryDynamo } from "../../../../support/dynamo/memory-dynamo.ts";
import { makeAdminApp } from "../../../../support/edge/admin-app.ts";
import { ASSET_ID, TENANT_ID } from "../../../../support/edge/edge-app.ts";

/** A network failure that occurs once, after the transaction has taken effect. */
type Lost = { is: string; fault: () => Error };
const LOST: Lost[] = [
  { is: "its answer lost", fault: () => new TypeError("connection reset") },
  // The table's response to the retry, if the table does not support client tokens or still processes the
  // first attempt.
  {
    is: "its second try losing against its first",
    fault: () => new DynamoFault("TransactionCanceledException", ["ConditionalCheckFailed"]),
  },
];

async function makeWorld() {
  const table = createMemoryDynamo();
  const state: { lost?: Lost["fault"] | undefined; late?: boolean; tokens: (string | undefined)[] } = {
    tokens: [],
  };
  const dynamo = interceptDynamo(table.dynamo, async ({ operation, input }, send) => {
    const { lost, late } = state;
    if (operation !== "TransactWriteItems") return send();
    state.tokens.push(input.ClientRequestToken as string | undefined);
    if (!lost) return send();
    state.lost = undefined;
    if (late) {
      // The first request is delayed. The second attempt reads before the delayed request arrives, and writes
      // after it has arrived.
      const first = structuredClone(input);
      state.late = false;
      held = () => send(first);
      throw lost();
    }
    await send();
    throw lost();
  });
  let held: (() => Promise<unknown>) | undefined;
  const withHeld = interceptDynamo(dynamo, async ({ operation }, send) => {
    const go = operation === "TransactWriteItems" ? held : undefined;
    if (go) {
      held = undefined;
      await go();
    }
    return send();
  });
  const app = await makeAdminApp({ dynamo: withHeld });
  const put = (key: object, item: object) =>
    table.dynamo("PutItem", { TableName: "t", Item: marshalItem({ ...key, ...item }) });
  await put(tenantKey(TENANT_ID), tenantDefaults(TENANT_ID));
  await put(assetKey(TENANT_ID, ASSET_ID), {
    type: "Asset",
    tenantId: TENANT_ID,
    assetId: ASSET_ID,
    employeeId: "dana",
    hostname: "desk-1",
    os: "linux",
    arch: "x64",
    deviceKey: "A".repeat(43),
    enrolledAt: "2026-11-21T00:00:00.000Z",
    status: "ACTIVE",
    generation: 0,
    custodyCount: 0,
  });
  const token = await app.session();
  const post = async (path: string, key: string, body: object) => {
    const answer = await app.ask(`/v1${path}`, token, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify(body),
    });
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };
  const records = () => [...table.items.values()].filter((item) => item.type?.S === "Audit").length;
  return { ...app, table, state, post, records };
}
type World = Awaited<ReturnType<typeof makeWorld>>;

const TERMS = { url: "https://siem.example.com/hook", events: [] };
const because = { justification: "the host is stranded" };
const SECRETS: [string, string, (world: World) => Promise<[path: string, body: object]>][] = [
  ["an API key", "key", async () => ["/api-keys", { name: "robot", role: "viewer", days: 1 }]],
  ["a webhook", "secret", async () => ["/webhooks", TERMS]],
  [
    "a webhook's next secret",
    "secret",
    async ({ post }) => {
      const { webhook } = (await post("/webhooks", "made-before", TERMS)).body as {
        webhook: { webhookId: string };
      };
      return [`/webhooks/${webhook.webhookId}/rotate-secret`, because];
    },
  ],
  [
    "a release code",
    "code",
    async ({ post }) => {
      await post(`/assets/${ASSET_ID}/isolate`, "isolated-before", { ...because, mode: "network" });
      return [`/assets/${ASSET_ID}/release-code`, { ...because, hours: 1 }];
    },
  ],
];

describe.each(SECRETS)("%s", (_what, member, start) => {
  test.each(LOST)("is returned although the transaction that created it had $is", async ({ fault }) => {
    const world = await makeWorld();
    const [path, body] = await start(world);
    const before = world.records();
    world.state.lost = fault;
    const made = await world.post(path, "the-change", body);
    expect([made.status < 300, typeof made.body[member]]).toEqual([true, "string"]);
    expect(world.records()).toBe(before + 1);
    const again = await world.post(path, "the-change", body);
    expect([again.status, again.body[member]]).toEqual([made.status, undefined]);
    expect(world.records()).toBe(before + 1);
  });
});

describe("commit()", () => {
  test("returns the secret of the attempt that was committed, not of a later attempt", async () => {
    const world = await makeWorld();
    await world.post(`/assets/${ASSET_ID}/isolate`, "isolated-before", { ...because, mode: "network" });
    world.state.lost = () => new DynamoFault("TransactionConflictException");
    world.state.late = true;
    const { body } = await world.post(`/assets/${ASSET_ID}/release-code`, "the-change", because);
    const [, payload] = String(body.code).split(".");
    expect(JSON.parse(Buffer.from(payload!, "base64url").toString()).jti).toBe(body.codeId);
  });

  test("uses a different token in each attempt", async () => {
    const world = await makeWorld();
    world.state.lost = () => new DynamoFault("TransactionConflictException");
    world.state.late = true;
    await world.post(`/assets/${ASSET_ID}/isolate`, "the-change", because);
    const { tokens } = world.state;
    expect(tokens).toHaveLength(2);
    expect(new Set(tokens).size).toBe(2);
    for (const token of tokens) expect(token).toMatch(/^[\w-]{1,36}$/);
  });
});
