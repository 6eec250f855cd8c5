import { describe, expect, test } from "bun:test";
import { verifyCustody } from "../../../../../shared/containment/custody-chain.ts";
import { marshal, marshalItem } from "../../../../../shared/table/dynamo.ts";
import type { ProvenReport } from "../../../../../shared/table/items/asset/asset.ts";
import { type AuditItem, auditItem, custodyHeadItem } from "../../../../../shared/table/items/custody.ts";
import { decodeItem } from "../../../../../shared/table/items/decode.ts";
import { assetKey, custodyHeadKey } from "../../../../../shared/table/keys.ts";
import { timestamp } from "../../../../../shared/time/clock.ts";
import type { ContainmentReport } from "../../../../../shared/wire/heartbeat.ts";
import { verifyReleaseCode } from "../../../../../shared/wire/release-code.ts";
import { createMemoryDynamo } from "../../../../support/dynamo/memory-dynamo.ts";
import { makeAdminApp } from "../../../../support/edge/admin-app.ts";
import { ASSET_ID, TENANT_ID } from "../../../../support/edge/edge-app.ts";

const KEY = assetKey(TENANT_ID, ASSET_ID);

/** Placeholders for signatures. The worker and the log verifiers check these signatures, but the edge does not. */
const [SIGNATURE, SIGNED_BY] = ["A".repeat(86), "A".repeat(43)];
const REPORT: ContainmentReport = {
  generation: 1,
  action: "release",
  mode: "network",
  outcome: "applied",
  at: "2026-11-20T12:00:00.000Z",
  reason: "released at the host with code X",
};

async function makeWorld() {
  const table = createMemoryDynamo();
  let isFreed = false;
  const pendingActions = {
    of: async () =>
      new Map(
        isFreed
          ? [
              [
                ASSET_ID,
                { generation: 1, expiresAtMs: 0, revoked: false, isFreedUnrecorded: true as const },
              ] as const,
            ]
          : [],
      ),
    forget: () => {},
    learn: () => {},
    watch: () => () => {},
  };
  const app = await makeAdminApp({ dynamo: table.dynamo, pendingActions });
  const Item = marshalItem({
    ...KEY,
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
  await table.dynamo("PutItem", { TableName: "t", Item });
  const token = await app.session();
  const post = (verb: string, key: string, body: object = {}) =>
    app.ask(`/v1/assets/${ASSET_ID}/${verb}`, token, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify({ justification: "the host is stranded", ...body }),
    });
  const custody = async (): Promise<AuditItem[]> => {
    const items = [...table.items.values()];
    const records = items
      .filter((item) => item.type?.S === "Audit")
      .map((item) => decodeItem(auditItem, item));
    const head = items.find((item) => item.SK!.S === custodyHeadKey(TENANT_ID).SK);
    expect(await verifyCustody(records, head && decodeItem(custodyHeadItem, head))).toBeUndefined();
    return records.sort((a, b) => a.tenantNumber - b.tenantNumber);
  };
  const asset = () => [...table.items.values()].find((item) => item.type?.S === "Asset")!;
  /** Writes the item as the worker does after a host reports a used release code, with or without a proof. */
  const mark = async (proof?: ContainmentReport) => {
    const marked = { freedByCode: marshal(REPORT), ...(proof && { proof: marshal(proof) }) };
    await table.dynamo("PutItem", { TableName: "t", Item: { ...asset(), ...marked } });
  };
  const hear = () => {
    isFreed = true;
  };
  const isOpen = () => asset().GSI2PK !== undefined;
  /** Writes the item as the worker does after the host reports that a release code ended its isolation. */
  const hostIsBack = async () => {
    const report: ProvenReport = {
      generation: 1,
      action: "release",
      mode: "network",
      outcome: "applied",
      at: timestamp(app.state.nowMs),
      reason: "released at the host with code X",
      ...{ signature: SIGNATURE, signedBy: SIGNED_BY },
    };
    const stored = [...table.items.values()].find((item) => item.type?.S === "Asset")!;
    await table.dynamo("PutItem", { TableName: "t", Item: { ...stored, proof: marshal(report) } });
    isFreed = true;
  };
  const read = async () =>
    (await (await app.ask(`/v1/assets/${ASSET_ID}`, token)).json()) as { containment: { state: string } };
  return { ...app, post, custody, hostIsBack, mark, hear, isOpen, read };
}
type World = Awaited<ReturnType<typeof makeWorld>>;

describe("a release code", () => {
  test("is created only for a contained host, for this asset and generation, with a record", async () => {
    const world = await makeWorld();
    expect((await world.post("release-code", "too-early")).status).toBe(409);
    await world.post("isolate", "isolation", { mode: "network" });
    const answer = await world.post("release-code", "the-code", { hours: 2 });
    expect(answer.status).toBe(201);
    const made = (await answer.json()) as { code: string; codeId: string; generation: number };
    const self = { tenantId: TENANT_ID, assetId: ASSET_ID };
    const claims = await verifyReleaseCode(made.code, world.deps.controlJwks, self, world.state.nowMs);
    expect(claims).toMatchObject({ generation: 1, jti: made.codeId });
    expect(claims.exp - claims.iat).toBe(7200);
    const records = await world.custody();
    expect(records.map(({ action }) => action)).toEqual(["isolate", "create-release-code"]);
    expect(records[1]).toMatchObject({ target: made.codeId, justification: "the host is stranded" });
    expect(JSON.stringify(records)).not.toContain(made.code);
  });

  test("releases a host that was revoked while it was isolated, which a release cannot reach", async () => {
    const world = await makeWorld();
    await world.post("isolate", "isolation", { mode: "network" });
    await world.post("revoke", "revocation");
    const release = await world.post("release", "the-release");
    expect(release.status).toBe(409);
    expect(await release.text()).toContain("Use a release code at the host");
    const answer = await world.post("release-code", "the-code");
    expect(answer.status).toBe(201);
    const { code } = (await answer.json()) as { code: string };
    const self = { tenantId: TENANT_ID, assetId: ASSET_ID };
    expect(await verifyReleaseCode(code, world.deps.controlJwks, self, world.state.nowMs)).toMatchObject({
      generation: 1,
    });
    expect((await world.custody()).map(({ action }) => action)).toEqual([
      "isolate",
      "revoke",
      "create-release-code",
    ]);
  });

  test("is shown once: repeating the request returns its id and not the code", async () => {
    const world = await makeWorld();
    await world.post("isolate", "isolation", { mode: "network" });
    const first = (await (await world.post("release-code", "the-code")).json()) as { codeId: string };
    const again = (await (await world.post("release-code", "the-code")).json()) as object;
    expect(again).toMatchObject({ codeId: first.codeId });
    expect(again).not.toHaveProperty("code");
    expect(await world.custody()).toHaveLength(2);
  });

  test.each([0, 73])("with a validity of %d hours is rejected", async (hours) => {
    const world = await makeWorld();
    await world.post("isolate", "isolation", { mode: "network" });
    expect((await world.post("release-code", "the-code", { hours })).status).toBe(400);
  });

  test("that was used is shown immediately and recorded once, and a release closes the isolation", async () => {
    const world = await makeWorld();
    await world.post("isolate", "isolation", { mode: "network" });
    await world.hostIsBack();
    for (let i = 0; i < 3; i++) expect((await world.read()).containment.state).toBe("released-offline");
    const records = await world.custody();
    expect(records.map(({ action }) => action)).toEqual(["isolate", "release-offline"]);
    expect(records[1]).toMatchObject({
      operatorId: `asset_${ASSET_ID}`,
      generation: 1,
      after: "RELEASED-OFFLINE",
      justification: "released at the host with code X",
      report: {
        generation: 1,
        action: "release",
        outcome: "applied",
        signature: SIGNATURE,
        signedBy: SIGNED_BY,
      },
    });
    expect((await world.post("release", "closing-it")).status).toBe(202);
    expect((await world.read()).containment.state).toBe("releasing");
  });

  test.each([
    ["before the host is back", async () => {}],
    ["when the worker knew of it and no node did", async (world: World) => world.mark()],
  ])("that was used is recorded once even if an admin released the host, %s", async (_when, before) => {
    const world = await makeWorld();
    await world.post("isolate", "isolation", { mode: "network" });
    await before(world);
    expect((await world.post("release", "closing-it")).status).toBe(202);
    await world.mark();
    world.hear();
    for (let i = 0; i < 3; i++) expect((await world.read()).containment.state).toBe("releasing");
    const records = await world.custody();
    expect(records.map(({ action }) => action)).toEqual(["isolate", "release", "release-offline"]);
    expect(records[2]).toMatchObject({
      generation: 1,
      before: "ISOLATED",
      after: "RELEASED-OFFLINE",
      justification: "released at the host with code X",
    });
    expect(world.isOpen()).toBe(true);
  });

  test("whose use was stored before devices signed reports is recorded without a report, because no verifier could check it", async () => {
    const world = await makeWorld();
    await world.post("isolate", "isolation", { mode: "network" });
    await world.mark();
    world.hear();
    await world.read();
    const [, used] = await world.custody();
    expect(used).toMatchObject({
      action: "release-offline",
      justification: "released at the host with code X",
    });
    expect(used).not.toHaveProperty("report");
  });

  test("whose use is recorded after the release is proven leaves no open action", async () => {
    const world = await makeWorld();
    await world.post("isolate", "isolation", { mode: "network" });
    await world.post("release", "closing-it");
    await world.mark({ ...REPORT, generation: 2, reason: undefined });
    world.hear();
    expect((await world.read()).containment.state).toBe("active");
    expect((await world.custody()).map(({ action }) => action)).toEqual([
      "isolate",
      "release",
      "release-offline",
    ]);
    expect(world.isOpen()).toBe(false);
  });
});
