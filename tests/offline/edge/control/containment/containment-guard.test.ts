import { describe, expect, test } from "bun:test";
import { decodeJwt } from "jose";
import { formatApiKey, secretHash } from "../../../../../edge/auth/authenticate-api-key.ts";
import { verifyCustody } from "../../../../../shared/containment/custody-chain.ts";
import { type Dynamo, marshalItem, unmarshalItem } from "../../../../../shared/table/dynamo.ts";
import { auditItem, custodyHeadItem } from "../../../../../shared/table/items/custody.ts";
import { decodeItem } from "../../../../../shared/table/items/decode.ts";
import { tenantDefaults } from "../../../../../shared/table/items/tenant.ts";
import {
  apiKeyKey,
  assetKey,
  custodyHeadKey,
  presenceKey,
  tenantKey,
} from "../../../../../shared/table/keys.ts";
import { createMemoryDynamo } from "../../../../support/dynamo/memory-dynamo.ts";
import { makeAdminApp } from "../../../../support/edge/admin-app.ts";
import { TENANT_ID } from "../../../../support/edge/edge-app.ts";

const ASSETS = Array.from({ length: 6 }, (_, i) => `01M807NRG7BVMVH9SM4YAEXFP${i}`);

/** Test setup: a tenant with these settings and six hosts, two responders and an administrator. */
async function makeWorld(settings: { fourEyes?: boolean; isolationsPerHourMax?: number }) {
  const table = createMemoryDynamo();
  /** Runs once, after a decision was read and before it is written. */
  const between: { act?: (() => Promise<unknown>) | undefined } = {};
  const dynamo = (async (operation: "TransactWriteItems", input: never) => {
    const { act } = between;
    if (operation === "TransactWriteItems" && act) {
      between.act = undefined;
      await act();
    }
    return table.dynamo(operation, input);
  }) as Dynamo;
  const app = await makeAdminApp({ dynamo });
  const put = (key: object, item: object) =>
    table.dynamo("PutItem", { TableName: "t", Item: marshalItem({ ...key, ...item }) });
  await put(tenantKey(TENANT_ID), { ...tenantDefaults(TENANT_ID), ...settings });
  for (const assetId of ASSETS) {
    await put(assetKey(TENANT_ID, assetId), {
      type: "Asset",
      tenantId: TENANT_ID,
      assetId,
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
  }
  const person = (sub: string, rol: string) => app.session({ sub, o: { id: TENANT_ID, rol } });
  const [ann, ben] = [await person("user_ann", "responder"), await person("user_ben", "responder")];
  const ada = await person("user_ada", "admin");
  let asked = 0;
  const post = (path: string, token: string, body: object = {}) =>
    app.ask(`/v1${path}`, token, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": `request-${++asked}` },
      body: JSON.stringify(body),
    });
  const isolate = (host: number, token: string, more: object = {}) =>
    post(`/assets/${ASSETS[host]}/isolate`, token, { justification: "unknown model weights", ...more });
  const approvals = async () =>
    ((await (await app.ask("/v1/approvals", ann)).json()) as { items: { approvalId: string }[] }).items;
  const statusOf = async (host: number) =>
    ((await (await app.ask(`/v1/assets/${ASSETS[host]}`, ann)).json()) as { status: string }).status;
  const custody = async () => {
    const items = [...table.items.values()];
    const records = items
      .filter((item) => item.type?.S === "Audit")
      .map((item) => decodeItem(auditItem, item));
    const head = items.find((item) => item.SK!.S === custodyHeadKey(TENANT_ID).SK);
    expect(await verifyCustody(records, head && decodeItem(custodyHeadItem, head))).toBeUndefined();
    return records.sort((a, b) => a.tenantNumber - b.tenantNumber);
  };
  const changeSettings = async (changed: object) => {
    const before = await app.ask("/v1/settings", ada);
    const answer = await app.ask("/v1/settings", ada, {
      method: "PUT",
      headers: {
        "content-type": "application/json",
        "idempotency-key": `request-${++asked}`,
        "if-match": before.headers.get("etag")!,
      },
      body: JSON.stringify({ ...((await before.json()) as object), ...changed }),
    });
    expect(answer.status).toBe(200);
  };
  return {
    ...app,
    between,
    changeSettings,
    table,
    put,
    ann,
    ben,
    ada,
    post,
    isolate,
    approvals,
    statusOf,
    custody,
  };
}

describe("the approval by a second person", () => {
  test("holds an isolation until a second person approves it, and the custody log names both", async () => {
    const world = await makeWorld({ fourEyes: true });
    expect((await world.isolate(0, world.ann, { mode: "network" })).status).toBe(202);
    expect(await world.statusOf(0)).toBe("ACTIVE");
    const [request] = await world.approvals();
    expect(request).toMatchObject({ assetId: ASSETS[0], mode: "network", requestedBy: "user_ann" });
    expect((await world.post(`/approvals/${request!.approvalId}/approve`, world.ben)).status).toBe(202);
    expect(await world.statusOf(0)).toBe("ISOLATED");
    const records = await world.custody();
    expect(records.map(({ action, operatorId, target }) => [action, operatorId, target])).toEqual([
      ["request-isolation", "user_ann", request!.approvalId],
      ["isolate", "user_ben", request!.approvalId],
    ]);
    expect((await world.post(`/approvals/${request!.approvalId}/approve`, world.ada)).status).toBe(409);
  });

  test("cannot be given by the requester or an API key, and a request expires after an hour", async () => {
    const world = await makeWorld({ fourEyes: true });
    await world.isolate(0, world.ann);
    const path = `/approvals/${(await world.approvals())[0]!.approvalId}/approve`;
    expect((await world.post(path, world.ann)).status).toBe(403);
    const keyId = "01M807NRG7BVMVH9SM4YAEXFPK";
    const secret = "s".repeat(43);
    await world.put(apiKeyKey(TENANT_ID, keyId), {
      type: "ApiKey",
      tenantId: TENANT_ID,
      keyId,
      name: "robot",
      role: "admin",
      secretHash: await secretHash(secret),
      createdAt: "2026-01-01T00:00:00.000Z",
      createdBy: "user_ada",
      validUntil: "2099-01-01T00:00:00.000Z",
      expiresAt: 4_000_000_000,
    });
    expect((await world.post(path, formatApiKey(TENANT_ID, keyId, secret))).status).toBe(403);
    world.state.nowMs += 3600_001;
    const later = await world.session({ sub: "user_ben", o: { id: TENANT_ID, rol: "responder" } });
    expect((await world.post(path, later)).status).toBe(409);
    expect((await world.custody()).map(({ action }) => action)).toEqual(["request-isolation"]);
  });

  test("cannot be given by the creator of the API key that made the request, and the request and its record name both", async () => {
    const world = await makeWorld({ fourEyes: true });
    const terms = { name: "robot", role: "responder", days: 30 };
    const { key, apiKey } = (await (await world.post("/api-keys", world.ada, terms)).json()) as {
      key: string;
      apiKey: { keyId: string };
    };
    expect((await world.isolate(0, key, { mode: "network" })).status).toBe(202);
    const [request] = await world.approvals();
    const asked = { requestedBy: `key_${apiKey.keyId}`, keyMadeBy: "user_ada" };
    expect(request).toMatchObject(asked);
    const path = `/approvals/${request!.approvalId}/approve`;
    const refused = await world.post(path, world.ada);
    expect([refused.status, await world.statusOf(0)]).toEqual([403, "ACTIVE"]);
    expect((await world.post(path, world.ben)).status).toBe(202);
    const [, record, isolation] = await world.custody();
    expect(record).toMatchObject({ action: "request-isolation", keyMadeBy: "user_ada" });
    expect(isolation).not.toHaveProperty("keyMadeBy");
  });

  test("is refused for a request of an API key that does not name the key's creator", async () => {
    const world = await makeWorld({ fourEyes: true });
    await world.isolate(0, world.ann);
    const [request] = await world.approvals();
    const stored = [...world.table.items.values()].find((item) => item.type?.S === "Approval")!;
    const Item = { ...stored, requestedBy: { S: "key_01M807NRG7BVMVH9SM4YAEXFPK" } };
    await world.table.dynamo("PutItem", { TableName: "t", Item });
    const refused = await world.post(`/approvals/${request!.approvalId}/approve`, world.ben);
    expect([refused.status, await world.statusOf(0)]).toEqual([409, "ACTIVE"]);
  });

  test("is refused if the host was isolated and released after the request", async () => {
    const world = await makeWorld({ fourEyes: true });
    for (const mode of ["observe", "network"]) await world.isolate(0, world.ann, { mode });
    const [first, second] = await world.approvals();
    const approve = (request: { approvalId: string } | undefined) =>
      world.post(`/approvals/${request!.approvalId}/approve`, world.ben);
    expect((await approve(first)).status).toBe(202);
    const released = await world.post(`/assets/${ASSETS[0]}/release`, world.ann, {
      justification: "a false alarm",
    });
    expect(released.status).toBe(202);
    const refused = await approve(second);
    expect([refused.status, await world.statusOf(0)]).toEqual([409, "ACTIVE"]);
    expect(JSON.stringify(await refused.json())).toContain("released since the request");
    await world.isolate(0, world.ann);
    const [anew] = await world.approvals();
    expect([(await approve(anew)).status, await world.statusOf(0)]).toEqual([202, "ISOLATED"]);
  });

  test("is not needed for a release", async () => {
    const world = await makeWorld({ fourEyes: true });
    await world.isolate(0, world.ada, { breakGlass: true });
    const answer = await world.post(`/assets/${ASSETS[0]}/release`, world.ann, {
      justification: "all is well",
    });
    expect(answer.status).toBe(202);
    expect(await world.statusOf(0)).toBe("ACTIVE");
  });

  test("can be skipped with break-glass by an administrator in a session only, and the record says so", async () => {
    const world = await makeWorld({ fourEyes: true, isolationsPerHourMax: 1 });
    expect((await world.isolate(0, world.ann, { breakGlass: true })).status).toBe(403);
    for (const host of [0, 1])
      expect((await world.isolate(host, world.ada, { breakGlass: true })).status).toBe(202);
    expect((await world.custody()).map(({ action, target }) => [action, target])).toEqual([
      ["isolate", "break-glass"],
      ["isolate", "break-glass"],
    ]);
  });
});

describe("the hourly limit of isolations", () => {
  test("with a value of three, allows three of many parallel isolations, and three more in the next hour", async () => {
    const world = await makeWorld({ isolationsPerHourMax: 3 });
    const answers = await Promise.all(ASSETS.map((_, host) => world.isolate(host, world.ann)));
    expect(answers.map(({ status }) => status).sort()).toEqual([202, 202, 202, 429, 429, 429]);
    expect(await world.custody()).toHaveLength(3);
    world.state.nowMs += 3600_000;
    const later = await world.session({ sub: "user_ann", o: { id: TENANT_ID, rol: "responder" } });
    const again = await Promise.all(ASSETS.map((_, host) => world.isolate(host, later)));
    expect(again.filter(({ status }) => status === 202)).toHaveLength(3);
  });

  test("counts approved isolations, not requested ones", async () => {
    const world = await makeWorld({ fourEyes: true, isolationsPerHourMax: 1 });
    for (const host of [0, 1]) expect((await world.isolate(host, world.ann)).status).toBe(202);
    const statuses: number[] = [];
    for (const { approvalId } of await world.approvals())
      statuses.push((await world.post(`/approvals/${approvalId}/approve`, world.ben)).status);
    expect(statuses).toEqual([202, 429]);
  });

  test("allows every isolation if it is not set", async () => {
    const world = await makeWorld({});
    const answers = await Promise.all(ASSETS.map((_, host) => world.isolate(host, world.ann)));
    expect(answers.every(({ status }) => status === 202)).toBe(true);
  });
});

describe("a host that applied more generations than its restored table contains", () => {
  const heard = async (world: Awaited<ReturnType<typeof makeWorld>>, heardGeneration: number) => {
    const key = assetKey(TENANT_ID, ASSETS[0]!);
    const stored = world.table.items.get(`${key.PK} | ${key.SK}`)!;
    const Item = { ...stored, ...marshalItem({ heardGeneration }) };
    await world.table.dynamo("PutItem", { TableName: "t", Item });
  };
  const generations = async (world: Awaited<ReturnType<typeof makeWorld>>) =>
    (await world.custody()).map(({ action, generation }) => `${action} ${generation}`);

  test("gets directives with a generation that it has not applied, and later generations continue from there", async () => {
    const world = await makeWorld({});
    await heard(world, 7);
    const isolated = await world.isolate(0, world.ann, { mode: "network" });
    expect([isolated.status, ((await isolated.json()) as { generation: number }).generation]).toEqual([
      202, 8,
    ]);
    const release = await world.post(`/assets/${ASSETS[0]}/release`, world.ann, {
      justification: "all clear",
    });
    expect(release.status).toBe(202);
    expect(await generations(world)).toEqual(["isolate 8", "release 9"]);
  });

  test("gets such a generation after an approval too", async () => {
    const world = await makeWorld({ fourEyes: true });
    await heard(world, 7);
    await world.isolate(0, world.ann, { mode: "network" });
    const [request] = await world.approvals();
    const approved = await world.post(`/approvals/${request!.approvalId}/approve`, world.ben);
    expect((await approved.json()) as object).toMatchObject({ generation: 8 });
    expect((await generations(world)).at(-1)).toBe("isolate 8");
  });

  test.each([undefined, 5])(
    "gets a valid generation if a newer report arrives during the decision; earlier generation: %p",
    async (known) => {
      const world = await makeWorld({});
      if (known !== undefined) await heard(world, known);
      world.between.act = () => heard(world, 7);
      expect((await world.isolate(0, world.ann, { mode: "network" })).status).toBe(202);
      expect(await generations(world)).toEqual(["isolate 8"]);
    },
  );
});

describe("settings that become stricter between a decision and its transaction", () => {
  type World = Awaited<ReturnType<typeof makeWorld>>;
  /**
   * Two ways to change the settings concurrently: with a custody record, or directly in the table. An
   * isolation must not overwrite these changes.
   */
  const ways: [string, (world: World, changed: object) => Promise<unknown>][] = [
    ["through the API", (world, changed) => world.changeSettings(changed)],
    [
      "in the table",
      (world, changed) =>
        world.put(tenantKey(TENANT_ID), { ...tenantDefaults(TENANT_ID), ...changed, settingsVersion: 1 }),
    ],
  ];

  test.each(ways)(
    "if approval becomes required %s, the isolation becomes a request and no host is isolated",
    async (_way, change) => {
      const world = await makeWorld({});
      world.between.act = () => change(world, { fourEyes: true });
      expect((await world.isolate(0, world.ann)).status).toBe(202);
      expect(await world.statusOf(0)).toBe("ACTIVE");
      expect(await world.approvals()).toHaveLength(1);
      expect((await world.custody()).at(-1)!.action).toBe("request-isolation");
    },
  );

  test.each(ways)("an hourly limit lowered %s applies to the isolation in progress", async (_way, change) => {
    const world = await makeWorld({ isolationsPerHourMax: 5 });
    expect((await world.isolate(0, world.ann)).status).toBe(202);
    world.between.act = () => change(world, { isolationsPerHourMax: 1 });
    expect((await world.isolate(1, world.ann)).status).toBe(429);
    expect(await world.statusOf(1)).toBe("ACTIVE");
  });

  test.each(ways)("an hourly limit lowered %s applies to the approval in progress", async (_way, change) => {
    const world = await makeWorld({ fourEyes: true });
    await world.isolate(0, world.ada, { breakGlass: true });
    for (const host of [1, 2]) await world.isolate(host, world.ann);
    const [first, second] = await world.approvals();
    const approve = (request: { approvalId: string }) =>
      world.post(`/approvals/${request.approvalId}/approve`, world.ben);
    world.between.act = () => change(world, { fourEyes: true, isolationsPerHourMax: 1 });
    expect((await approve(first!)).status).toBe(202);
    expect((await approve(second!)).status).toBe(429);
  });

  test.each([
    ["stop-engines", "terminate", "terminate", "terminate"],
    ["stop-engines", "suspend", undefined, "suspend"],
    ["network", "terminate", undefined, undefined],
    ["observe", "terminate", undefined, undefined],
  ] as const)(
    "an isolation in mode %s where the settings say %s: the directive says %p, its record and the asset %p",
    async (mode, stopEnginesBy, signed, told) => {
      const world = await makeWorld({});
      await world.changeSettings({ stopEnginesBy });
      expect((await world.isolate(0, world.ann, { mode })).status).toBe(202);
      const stored = () => [...world.table.items.values()].find(({ assetId }) => assetId?.S === ASSETS[0])!;
      const claimsNow = () =>
        JSON.parse(Buffer.from(stored().wish!.M!.directive!.S!.split(".")[1]!, "base64url").toString());
      expect(claimsNow().stopEnginesBy).toBe(signed);
      const record = (await world.custody()).find(({ action }) => action === "isolate")!;
      expect([record.mode, record.stopEnginesBy]).toEqual([mode, told]);
      const asset = await (await world.ask(`/v1/assets/${ASSETS[0]}`, world.ann)).json();
      expect((asset as { containment: object }).containment).toMatchObject(
        told ? { stopEnginesBy: told } : { mode },
      );
      expect((await world.custody()).at(-1)).toEqual(record);
      await world.post(`/assets/${ASSETS[0]}/release`, world.ann, { justification: "it was a drill" });
      expect([claimsNow().action, claimsNow().stopEnginesBy]).toEqual(["release", undefined]);
    },
  );

  test("settings reject any other method of stopping engines, and a change of it is in the custody log", async () => {
    const world = await makeWorld({});
    await expect(world.changeSettings({ stopEnginesBy: "kill" })).rejects.toThrow("400");
    await world.changeSettings({ stopEnginesBy: "terminate" });
    const [record] = await world.custody();
    expect([record!.action, record!.before, record!.after]).toEqual([
      "change-settings",
      '{"stopEnginesBy":"suspend"}',
      '{"stopEnginesBy":"terminate"}',
    ]);
  });

  test.each(ways)(
    "a message for the host changed %s: the change is decided again and executed once",
    async (_way, change) => {
      const world = await makeWorld({});
      world.between.act = () => change(world, { isolationNotice: "Call 555-0100." });
      expect((await world.isolate(0, world.ann)).status).toBe(202);
      const stored = [...world.table.items.values()].find(({ assetId }) => assetId?.S === ASSETS[0])!;
      const [, claims] = stored.wish!.M!.directive!.S!.split(".");
      expect(JSON.parse(Buffer.from(claims!, "base64url").toString())).toMatchObject({
        generation: 1,
        notice: "Call 555-0100.",
      });
      expect((await world.custody()).filter(({ action }) => action === "isolate")).toHaveLength(1);
    },
  );
});

describe("an asset whose identity is used by several machines", () => {
  const ago = (world: { state: { nowMs: number } }, seconds: number) =>
    new Date(world.state.nowMs - seconds * 1000).toISOString();
  const run = (name: string) => name.padEnd(22, "_");

  async function shared(settings: Parameters<typeof makeWorld>[0], isShared = true) {
    const world = await makeWorld(settings);
    const runs = ["vdi-1", "vdi-2"].map((hostname, index) => ({
      run: run(hostname),
      hostname,
      firstSeenAt: ago(world, 100 - index),
      lastSeenAt: ago(world, 5),
    }));
    const identity = {
      runs,
      latest: run("vdi-1"),
      returns: isShared ? [ago(world, 90), ago(world, 5)] : [ago(world, 90)],
    };
    const at = ago(world, 5);
    const presence = {
      ...{
        type: "Presence",
        tenantId: TENANT_ID,
        assetId: ASSETS[0],
        lastSeenAt: at,
        sequence: 1,
        stateAt: at,
      },
      ...{ stateSince: at, stateHash: "h", sampledAt: at, intervalMs: 5000, agentVersion: "0.1.0" },
      ...{ catalogue: "x", hostname: "vdi-1", risk: "INFO", score: 0, engines: [], models: [] },
      ...{ failedCollectors: [], spoolDropped: 0, openIncidents: [], identity },
    };
    await world.put(presenceKey(TENANT_ID, ASSETS[0]!), presence);
    const codeOf = async (answer: Response) =>
      [answer.status, ((await answer.json()) as { code?: string }).code] as const;
    return { ...world, codeOf };
  }

  test("is isolated and released only if the administrator confirms that all machines are meant", async () => {
    const { isolate, post, ann, codeOf, statusOf, custody } = await shared({});
    const refused = await isolate(0, ann);
    expect(await codeOf(refused.clone())).toEqual([409, "admin.copies"]);
    expect(await refused.text()).toContain(
      "2 machines share this identity (vdi-1, vdi-2), and each would apply the directive",
    );
    expect(await statusOf(0)).toBe("ACTIVE");
    expect((await isolate(0, ann, { everyCopy: true })).status).toBe(202);
    const release = (more: object) =>
      post(`/assets/${ASSETS[0]}/release`, ann, { justification: "it is clean again", ...more });
    expect(await codeOf(await release({}))).toEqual([409, "admin.copies"]);
    expect((await release({ everyCopy: true })).status).toBe(202);
    expect((await custody()).map(({ action }) => action)).toEqual(["isolate", "release"]);
  });

  test("can be isolated without confirmation after a single return, because that is no second machine", async () => {
    const { isolate, ann } = await shared({}, false);
    expect((await isolate(0, ann)).status).toBe(202);
  });

  test("is isolated after an approval if the request confirmed that all machines are meant", async () => {
    const { isolate, post, approvals, ann, ben, codeOf, statusOf } = await shared({ fourEyes: true });
    expect(await codeOf(await isolate(0, ann))).toEqual([409, "admin.copies"]);
    expect((await isolate(0, ann, { everyCopy: true })).status).toBe(202);
    const [request] = await approvals();
    expect((await post(`/approvals/${request!.approvalId}/approve`, ben)).status).toBe(202);
    expect(await statusOf(0)).toBe("ISOLATED");
  });

  test("is not isolated by an approval if the other machine was detected after the request", async () => {
    const world = await shared({ fourEyes: true }, false);
    const { isolate, post, approvals, ann, ben, codeOf } = world;
    expect((await isolate(0, ann)).status).toBe(202);
    const [request] = await approvals();
    const key = presenceKey(TENANT_ID, ASSETS[0]!);
    const stored = world.table.items.get(`${key.PK} | ${key.SK}`)!;
    const { identity, ...others } = unmarshalItem(stored) as { identity: object };
    const returns = [ago(world, 90), ago(world, 5)];
    await world.put(key, { ...others, identity: { ...identity, returns } });
    expect(await codeOf(await post(`/approvals/${request!.approvalId}/approve`, ben))).toEqual([
      409,
      "admin.copies",
    ]);
  });
});

test.each([
  ["the board that enrolled", { id: "b".repeat(43), strength: "board" }, "b".repeat(43)],
  ["no operating system, which copies share", { id: "m".repeat(43), strength: "machine" }, undefined],
])("a directive names %s", async (_, hardware, named) => {
  const { isolate, put, table, ann } = await makeWorld({});
  const key = assetKey(TENANT_ID, ASSETS[0]!);
  const nameOf = `${key.PK} | ${key.SK}`;
  await put(key, { ...unmarshalItem(table.items.get(nameOf)!), hardware });
  expect((await isolate(0, ann)).status).toBe(202);
  const { wish } = unmarshalItem(table.items.get(nameOf)!) as { wish: { directive: string } };
  expect(decodeJwt(wish.directive).hardware).toBe(named);
});
