import { beforeEach, describe, expect, test } from "bun:test";
import { BEHIND_MS } from "../../../../../edge/control/custody/event-feed.ts";
import { eventPut } from "../../../../../shared/events/event-put.ts";
import { makeEvent } from "../../../../../shared/events/make-event.ts";
import { type Dynamo, marshalItem } from "../../../../../shared/table/dynamo.ts";
import { decodeItem } from "../../../../../shared/table/items/decode.ts";
import type { EventItem } from "../../../../../shared/table/items/event.ts";
import { eventItem } from "../../../../../shared/table/items/event.ts";
import { assetKey, incidentKey } from "../../../../../shared/table/keys.ts";
import { timestamp } from "../../../../../shared/time/clock.ts";
import { createMemoryDynamo, type MemoryDynamo } from "../../../../support/dynamo/memory-dynamo.ts";
import { makeTenant } from "../../../../support/dynamo/worker-table.ts";
import { makeAdminApp } from "../../../../support/edge/admin-app.ts";
import { ASSET_ID, TENANT_ID } from "../../../../support/edge/edge-app.ts";
import { faultOf } from "../../../../support/edge/openapi-operation.ts";

type Page = { items: { metadata: { uid: string } }[]; cursor: string; isCaughtUp: boolean };
const PATH = "/v1/events/ocsf";
const TENANT = makeTenant({ tenantId: TENANT_ID });

let table: MemoryDynamo;
const dynamo = ((operation: never, input: never) => table.dynamo(operation, input)) as unknown as Dynamo;
const world = await makeAdminApp({ dynamo });
beforeEach(() => {
  table = createMemoryDynamo();
  world.state.nudged.length = 0;
});

const put = (name: string, recordedAtMs: number, more: Partial<EventItem> = {}) => {
  const at = timestamp(recordedAtMs);
  const told = {
    kind: "incident.opened" as const,
    eventId: name,
    at,
    assetId: ASSET_ID,
    data: { rule: "r" },
  };
  return table.dynamo("PutItem", eventPut({ ...makeEvent(told, TENANT, at), ...more }, "t"));
};
async function read(query = "", token?: string): Promise<Page & { status: number }> {
  const answer = await world.ask(`${PATH}${query}`, token ?? (await world.session()));
  expect(await faultOf("GET", PATH, answer)).toBeUndefined();
  return { status: answer.status, ...((await answer.json()) as Page) };
}
const uids = ({ items }: Page) => items.map(({ metadata }) => metadata.uid);

describe("exportOcsfEvents", () => {
  test("reads in the order of recording, each event once, with any page size", async () => {
    const start = world.state.nowMs - 60_000;
    for (let i = 0; i < 9; i++) await put(`evt_${i}`, start + Math.floor(i / 3) * 1000);
    const all = Array.from({ length: 9 }, (_, i) => `evt_${i}`);
    for (const limit of [1, 2, 4, 9, 10]) {
      let page = await read(`?limit=${limit}`);
      const seen = uids(page);
      while (!page.isCaughtUp) {
        page = await read(`?limit=${limit}&cursor=${page.cursor}`);
        seen.push(...uids(page));
      }
      expect(seen).toEqual(all);
      expect(uids(await read(`?cursor=${page.cursor}`))).toEqual([]);
    }
  });

  test("stays ten seconds behind, so that it misses nothing that is recorded in that time in any order", async () => {
    const now = world.state.nowMs;
    await put("evt_old", now - BEHIND_MS - 1);
    await put("evt_young", now - BEHIND_MS + 1);
    const first = await read();
    expect(uids(first)).toEqual(["evt_old"]);
    // This event arrived late. Its time is before the time of an event that is already stored.
    await put("evt_late", now - BEHIND_MS);
    world.state.nowMs += 5;
    const second = await read(`?cursor=${first.cursor}`);
    expect(uids(second)).toEqual(["evt_late", "evt_young"]);
  });

  test("returns a cursor even if there are no events, and continues from it", async () => {
    const empty = await read();
    expect(empty).toMatchObject({ items: [], isCaughtUp: true });
    await put("evt_first", world.state.nowMs);
    world.state.nowMs += BEHIND_MS + 1;
    expect(uids(await read(`?cursor=${empty.cursor}`))).toEqual(["evt_first"]);
  });

  test("starts at a time if the caller gives one", async () => {
    const start = world.state.nowMs - 60_000;
    for (let i = 0; i < 3; i++) await put(`evt_${i}`, start + i * 1000);
    expect(uids(await read(`?since=${timestamp(start + 1000)}`))).toEqual(["evt_1", "evt_2"]);
  });

  test("leaves out tests of webhooks and continues after them", async () => {
    const start = world.state.nowMs - 60_000;
    await put("evt_test", start, { kind: "webhook.test", data: { webhook: "a" } });
    await put("evt_real", start + 1);
    const first = await read("?limit=1");
    expect(first).toMatchObject({ items: [], isCaughtUp: false });
    expect(uids(await read(`?limit=1&cursor=${first.cursor}`))).toEqual(["evt_real"]);
  });

  test("rejects a modified cursor, one of another list, and one of another tenant", async () => {
    await put("evt_0", world.state.nowMs - 60_000);
    const { cursor } = await read();
    const eve = await world.session({ o: { id: "org_eve", rol: "admin" } });
    expect((await read(`?cursor=${cursor}`, eve)).status).toBe(400);
    expect((await read(`?cursor=A${cursor}`)).status).toBe(400);
    expect((await read(`?cursor=${cursor.slice(0, -3)}AAA`)).status).toBe(400);
    expect((await read(`?limit=201`)).status).toBe(400);
    expect(uids(await read("", eve))).toEqual([]);
  });

  test("is open to an API key with the scope read-events, which can do nothing else", async () => {
    const token = await world.session();
    const made = await world.ask("/v1/api-keys", token, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": crypto.randomUUID() },
      body: JSON.stringify({ name: "the siem", role: "viewer", scopes: ["read-events"] }),
    });
    const { key } = (await made.json()) as { key: string };
    expect((await read("", key)).status).toBe(200);
    expect((await world.ask("/v1/assets", key)).status).toBe(403);
    expect((await world.ask("/v1/me", key)).status).toBe(403);
  });
});

const asset = {
  type: "Asset",
  tenantId: TENANT_ID,
  assetId: ASSET_ID,
  employeeId: "dana",
  hostname: "host-1",
  os: "Linux",
  arch: "x64",
  deviceKey: "A".repeat(43),
  enrolledAt: "2026-11-22T00:00:00.000Z",
  status: "ACTIVE",
  generation: 0,
  custodyCount: 0,
};
const post = async (path: string, body: object, key: string = crypto.randomUUID()) =>
  world.ask(path, await world.session(), {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": key },
    body: JSON.stringify(body),
  });
const events = () =>
  [...table.items.values()]
    .filter(({ type }) => type?.S === "Event")
    .map((item) => decodeItem(eventItem, item));
const hooked = {
  webhooks: [{ id: "siem", url: "https://hooks.example.com/", secret: `whsec_${"A".repeat(32)}` }],
};

describe("events for changes by admins", () => {
  beforeEach(async () => {
    const Item = marshalItem({ ...assetKey(TENANT_ID, ASSET_ID), ...asset });
    await table.dynamo("PutItem", { TableName: "t", Item });
  });

  test("an isolation and a release make one event each in their transaction, even if the request is repeated", async () => {
    const why = { justification: "because of the test" };
    for (const verb of ["isolate", "release"]) {
      const key = crypto.randomUUID();
      const [first, again] = [
        await post(`/v1/assets/${ASSET_ID}/${verb}`, why, key),
        await post(`/v1/assets/${ASSET_ID}/${verb}`, why, key),
      ];
      expect([first.status, again.status]).toEqual([202, 202]);
    }
    expect(events()).toMatchObject([
      { kind: "isolation.requested", hostname: "host-1", data: { generation: 1, operator: "user_mara" } },
      { kind: "release.requested", data: { generation: 2, ...why } },
    ]);
    world.state.nowMs += BEHIND_MS + 1000;
    const { items } = await read();
    expect(items).toMatchObject([
      { type_uid: 700_101, status: "Requested", command_uid: `${ASSET_ID}.1`, device: { uid: ASSET_ID } },
      { type_uid: 700_103, status: "Requested", unmapped: { operator: "user_mara" } },
    ]);
  });

  test("a rejected change makes no event", async () => {
    expect(
      (await post(`/v1/assets/${ASSET_ID}/release`, { justification: "it is not isolated" })).status,
    ).toBe(409);
    expect((await post(`/v1/assets/${ASSET_ID}/isolate`, {})).status).toBe(400);
    expect(events()).toEqual([]);
  });

  test("a resolution by a person makes an event with the reason, like one by the quiet period", async () => {
    const name = { assetId: ASSET_ID, rule: "exposed-engine", engine: "ollama" };
    const item = {
      ...incidentKey(TENANT_ID, name, TENANT.shards),
      type: "Incident",
      tenantId: TENANT_ID,
      ...name,
      engineName: "Ollama",
      status: "OPEN",
      risk: "CRITICAL",
      points: 80,
      explanation: "It is open.",
      hostname: "host-1",
      openedAt: "2026-11-22T00:00:00.000Z",
      lastSeenAt: "2026-11-22T00:00:00.000Z",
    };
    await table.dynamo("PutItem", { TableName: "t", Item: marshalItem(item) });
    const reason = "approved by the data office";
    const answer = await post(`/v1/incidents/${ASSET_ID}.exposed-engine.ollama/resolve`, { reason });
    expect(answer.status).toBe(200);
    expect(events()).toMatchObject([
      {
        kind: "incident.resolved",
        data: { rule: "exposed-engine", resolution: reason, operator: "user_mara" },
      },
    ]);
    world.state.nowMs += BEHIND_MS + 1000;
    expect((await read()).items).toMatchObject([
      { type_uid: 200_403, status: "Resolved", severity_id: 5, status_detail: reason },
    ]);
  });

  test("an event is put into the outbox and a worker is notified only if a webhook subscribes to it", async () => {
    const why = { justification: "because of the test" };
    await post(`/v1/assets/${ASSET_ID}/isolate`, why);
    expect([events()[0]!.nextAttemptAt, world.state.nudged]).toEqual([undefined, []]);
    const Item = marshalItem({ PK: `TENANT#${TENANT_ID}`, SK: "METADATA", ...TENANT, ...hooked });
    await table.dynamo("PutItem", { TableName: "t", Item });
    await post(`/v1/assets/${ASSET_ID}/release`, why);
    expect(events()[1]!.nextAttemptAt).toBe(events()[1]!.recordedAt);
    expect(world.state.nudged).toEqual([TENANT_ID]);
  });
});
