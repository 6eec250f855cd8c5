import { describe, expect, test } from "bun:test";
import { enrolledAgainAs } from "../../../../../edge/control/assets/enrolled-again.ts";
import { type Device, makeDevice, signedRequest } from "../../../../../lz/platform/simulated-agents.ts";
import { checkAuthority } from "../../../../../shared/authority/read-authority.ts";
import { createVerifier } from "../../../../../shared/authority/verify-authority.ts";
import { type AttributeMap, marshalItem } from "../../../../../shared/table/dynamo.ts";
import { type AssetItem, assetItem } from "../../../../../shared/table/items/asset/asset.ts";
import { hardwareItem } from "../../../../../shared/table/items/asset/hardware.ts";
import { decodeItem } from "../../../../../shared/table/items/decode.ts";
import { assetKey, deviceRecordKey, hardwareKey } from "../../../../../shared/table/keys.ts";
import type { EnrolmentRequest, SessionRequest } from "../../../../../shared/wire/enrolment.ts";
import { signEnrolmentToken } from "../../../../../shared/wire/enrolment-token.ts";
import { deviceKeyid } from "../../../../../shared/wire/keyid.ts";
import { makeSigningKey } from "../../../../support/control/authority.ts";
import { createMemoryDynamo } from "../../../../support/dynamo/memory-dynamo.ts";
import { EDGE_URL, makeEdgeApp, TENANT_ID } from "../../../../support/edge/edge-app.ts";

const board = (letter: string) => ({ id: letter.repeat(43), strength: "board" as const });
const machine = (letter: string) => ({ id: letter.repeat(43), strength: "machine" as const });

async function makeWorld() {
  const table = createMemoryDynamo();
  const enrolKey = await makeSigningKey("enrol-1");
  const world = await makeEdgeApp({ dynamo: table.dynamo, enrolKey: enrolKey.key });
  const { app, deps, state } = world;
  const nowSeconds = Math.floor(state.nowMs / 1000);
  const token = await signEnrolmentToken(
    deps.controlKey!,
    { tenant: TENANT_ID, jti: "fleet", uses: 100 },
    nowSeconds + 3600,
  );
  async function post(path: string, body: object, device: Device, keyid: string) {
    const request = await signedRequest(
      EDGE_URL,
      path,
      JSON.stringify(body),
      device.signer(keyid),
      nowSeconds,
    );
    const answer = await app.request(request);
    return { status: answer.status, body: (await answer.json()) as Record<string, string> };
  }
  async function enrol(more: Partial<EnrolmentRequest> = {}) {
    const device = await makeDevice();
    const host = { hostname: "desk-1", os: "Linux", arch: "x64", agentVersion: "0.1.0" };
    const request: EnrolmentRequest = { token, deviceKey: device.x, employeeId: "dana", host, ...more };
    const { status, body } = await post("/v1/enroll", request, device, device.x);
    expect(status).toBe(201);
    return { device, assetId: body.assetId! };
  }
  const session = (
    { device, assetId }: Awaited<ReturnType<typeof enrol>>,
    more: Partial<SessionRequest> = {},
  ) => post("/v1/session", { agentVersion: "0.1.0", ...more }, device, deviceKeyid(TENANT_ID, assetId));
  const items = table.items as Map<string, AttributeMap>;
  const get = ({ PK, SK }: { PK: string; SK: string }) => items.get(`${PK} | ${SK}`);
  const assetOf = (assetId: string) => decodeItem(assetItem, get(assetKey(TENANT_ID, assetId))!);
  return { ...world, table, enrolKey, enrol, session, get, assetOf };
}

describe("an enrolment with a fingerprint of the mainboard", () => {
  test("names the assets that enrolled from the same mainboard before, newest first, and changes none of them", async () => {
    const { enrol, assetOf, get } = await makeWorld();
    const first = await enrol({ hardware: board("a") });
    const before = structuredClone(get(assetKey(TENANT_ID, first.assetId)));
    const second = await enrol({ hardware: board("a") });
    const third = await enrol({ hardware: board("a") });
    expect(assetOf(first.assetId).hardware).toEqual(board("a"));
    expect(assetOf(first.assetId).enrolledBefore).toBeUndefined();
    expect(assetOf(second.assetId).enrolledBefore).toEqual([first.assetId]);
    expect(assetOf(third.assetId).enrolledBefore).toEqual([second.assetId, first.assetId]);
    expect(get(assetKey(TENANT_ID, first.assetId))).toEqual(before!);
  });

  test("is signed by the enrol key together with the rest of the new device", async () => {
    const { enrol, get, deps, enrolKey } = await makeWorld();
    await enrol({ hardware: board("a") });
    const { assetId } = await enrol({ hardware: board("a") });
    const verifier = createVerifier(deps.controlJwks, enrolKey.jwks);
    const item = get(assetKey(TENANT_ID, assetId))!;
    const device = get(deviceRecordKey(TENANT_ID, assetId))!;
    const check = (stored: AttributeMap) =>
      checkAuthority(verifier, TENANT_ID, item.SK!.S!, { item: stored, record: undefined, device });
    await check(item);
    const { enrolledBefore: _, ...without } = item;
    expect(check(without)).rejects.toThrow("the item differs from the signed item");
  });

  test("remembers at most eight assets of a mainboard", async () => {
    const { enrol, get, assetOf } = await makeWorld();
    const made: string[] = [];
    for (let i = 0; i < 10; i++) made.push((await enrol({ hardware: board("a") })).assetId);
    const item = decodeItem(hardwareItem, get(hardwareKey(TENANT_ID, board("a").id))!);
    expect(item.assets).toEqual(made.toReversed().slice(0, 8));
    expect(item.enrolments).toBe(10);
    expect(assetOf(made[9]!).enrolledBefore).toEqual(made.slice(1, 9).reverse());
  });

  test.each([
    ["another board", board("b")],
    ["the same operating system", machine("a")],
    ["no fingerprint", undefined],
  ])("with %s links no assets", async (_, hardware) => {
    const { enrol, assetOf } = await makeWorld();
    await enrol({ hardware: board("a") });
    await enrol({ hardware: machine("a") });
    const { assetId } = await enrol(hardware ? { hardware } : {});
    expect(assetOf(assetId).enrolledBefore).toBeUndefined();
    expect(assetOf(assetId).hardware).toEqual(hardware);
  });

  test("each of six simultaneous enrolments from one mainboard links those before it, and none is lost", async () => {
    const { enrol, get, assetOf } = await makeWorld();
    const made = await Promise.all(Array.from({ length: 6 }, () => enrol({ hardware: board("a") })));
    const { assets, enrolments } = decodeItem(hardwareItem, get(hardwareKey(TENANT_ID, board("a").id))!);
    expect(enrolments).toBe(6);
    expect([...assets].sort()).toEqual(made.map(({ assetId }) => assetId).sort());
    for (const [i, assetId] of assets.entries())
      expect(assetOf(assetId).enrolledBefore ?? []).toEqual(assets.slice(i + 1));
  });
});

describe("a session", () => {
  test("from another mainboard than the enrolled one is rejected, and the workers are notified", async () => {
    const { enrol, session, state } = await makeWorld();
    const host = await enrol({ hardware: board("a") });
    expect((await session(host, { hardware: board("a") })).status).toBe(200);
    const refused = await session(host, { hardware: board("b"), copiedTo: "vdi-2" });
    expect([refused.status, refused.body.code]).toEqual([409, "asset.copied"]);
    expect(state.queued).toEqual([
      {
        assetId: host.assetId,
        receivedAt: new Date(state.nowMs).toISOString(),
        body: '{"v":1,"copied":{"hostname":"vdi-2"}}',
      },
    ]);
    expect((await session(host, { hardware: board("b") })).status).toBe(409);
    expect(state.queued.at(-1)!.body).toBe('{"v":1,"copied":{}}');
  });

  test.each([
    ["the same board", board("a")],
    ["no fingerprint, as of an older agent", undefined],
    ["a fingerprint of the operating system", machine("b")],
  ])("with %s is opened", async (_, hardware) => {
    const { enrol, session, state } = await makeWorld();
    const host = await enrol({ hardware: board("a") });
    expect((await session(host, hardware ? { hardware } : {})).status).toBe(200);
    expect(state.queued).toEqual([]);
  });

  test("of an asset without a fingerprint is opened for any mainboard", async () => {
    const { enrol, session } = await makeWorld();
    expect((await session(await enrol(), { hardware: board("b") })).status).toBe(200);
  });

  test("for copies is rejected without using the session quota of the enrolled machine", async () => {
    const { enrol, session, deps } = await makeWorld();
    const taken: string[] = [];
    const { session: limit } = deps.limits;
    deps.limits.session = {
      ...limit,
      take: (key) => {
        taken.push(key);
        return limit.take(key);
      },
    };
    const host = await enrol({ hardware: board("a") });
    await session(host, { hardware: board("b") });
    await session(host, { hardware: board("a") });
    expect(taken).toEqual([`${host.assetId} copied`, host.assetId]);
  });
});

describe("enrolledAgainAs()", () => {
  const [old, newer] = ["01M807NRG7BVMVH9SM4YAEXFP0", "01M807NRG7BVMVH9SM4YAEXFP1"];
  const asset = (assetId: string, more: Partial<AssetItem> = {}): AssetItem => ({
    type: "Asset",
    tenantId: TENANT_ID,
    assetId,
    employeeId: "dana",
    hostname: "desk-1",
    os: "Linux",
    arch: "x64",
    deviceKey: "A".repeat(43),
    enrolledAt: "2026-11-21T00:00:00.000Z",
    status: "ACTIVE",
    generation: 0,
    custodyCount: 0,
    hardware: board("a"),
    ...more,
  });
  const index = { type: "Hardware", tenantId: TENANT_ID, assets: [newer, old], enrolments: 2 };
  const again = asset(newer, { enrolledAt: "2026-11-25T00:00:00.000Z" });
  const proposed = (
    one: AssetItem,
    {
      lastSeenAt = "2026-11-24T00:00:00.000Z",
      stored = again,
    }: { lastSeenAt?: string; stored?: AssetItem } = {},
  ) =>
    enrolledAgainAs(one, lastSeenAt, async ({ SK }) =>
      marshalItem(SK.startsWith("HARDWARE#") ? index : { ...stored }),
    );

  test("suggests the newer asset of the same mainboard for an asset that has been silent since then", async () => {
    expect(await proposed(asset(old))).toBe(newer);
  });

  const wish = { generation: 1, action: "release", mode: "observe", directive: "x" } as const;
  const times = { requestedAt: again.enrolledAt, expiresAt: again.enrolledAt };
  test.each([
    ["one that reported since", asset(old), { lastSeenAt: "2026-11-25T00:00:01.000Z" }],
    ["an isolated one", asset(old, { status: "ISOLATED" }), {}],
    ["one whose release is not proven", asset(old, { wish: { ...wish, ...times } }), {}],
    ["a revoked one", asset(old, { revokedAt: again.enrolledAt }), {}],
    ["one known by its operating system only", asset(old, { hardware: machine("a") }), {}],
    ["one that an index links to another board", asset(old), { stored: { ...again, hardware: board("b") } }],
    ["one whose newer asset was revoked", asset(old), { stored: { ...again, revokedAt: again.enrolledAt } }],
    ["the newest itself", again, {}],
  ])("suggests nothing for %s", async (_, one, more) => {
    expect(await proposed(one, more)).toBeUndefined();
  });
});
