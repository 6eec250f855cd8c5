import { describe, expect, test } from "bun:test";
import { readOcsf } from "../../../../../edge/control/custody/event-feed.ts";
import { gatherEvidence } from "../../../../../edge/dashboard/report/report-data.ts";
import { enrolDevice, makeDevice } from "../../../../../lz/platform/simulated-agents.ts";
import { auditAuthority } from "../../../../../shared/authority/audit-authority.ts";
import { createAuthority } from "../../../../../shared/authority/read-authority.ts";
import { createVerifier } from "../../../../../shared/authority/verify-authority.ts";
import { eventPut } from "../../../../../shared/events/event-put.ts";
import { makeEvent } from "../../../../../shared/events/make-event.ts";
import { readFleet } from "../../../../../shared/fleet/read-fleet.ts";
import { type AttributeMap, marshalItem } from "../../../../../shared/table/dynamo.ts";
import type { ProvenReport } from "../../../../../shared/table/items/asset/asset.ts";
import { assetKey } from "../../../../../shared/table/keys.ts";
import { timestamp } from "../../../../../shared/time/clock.ts";
import type { ContainmentReport } from "../../../../../shared/wire/heartbeat.ts";
import { makeSigningKey } from "../../../../support/control/authority.ts";
import { createMemoryDynamo } from "../../../../support/dynamo/memory-dynamo.ts";
import { makeTenant } from "../../../../support/dynamo/worker-table.ts";
import { makeAdminApp } from "../../../../support/edge/admin-app.ts";
import { EDGE_URL, TENANT_ID } from "../../../../support/edge/edge-app.ts";

const REFUSED = "proof has no valid signature";

/**
 * Test setup: an admin node that enforces signatures, a host whose isolation is requested, and an attacker
 * who can write any item.
 */
async function makeWorld() {
  const table = createMemoryDynamo();
  const enrol = await makeSigningKey("enrol-1");
  const app = await makeAdminApp({ dynamo: table.dynamo, enrolKey: enrol.key });
  const { deps, state } = app;
  state.nowMs = Date.now(); // the simulated device signs its enrolment with the real time
  const verifier = createVerifier(deps.controlJwks, enrol.jwks);
  const needs = { dynamo: table.dynamo, table: "t", verifier, mode: "enforce" as const };
  const refusals = { counted: 0 };
  deps.authority = createAuthority({
    ...needs,
    pause: async () => {},
    log: deps.log,
    onRefused: () => void refusals.counted++,
  });
  const token = await app.session();
  let requests = 0;
  const ask = async (method: string, path: string, body?: object) => {
    const headers = { "content-type": "application/json", "idempotency-key": `request-${requests++}` };
    const answer = await app.ask(path, token, {
      method,
      headers,
      ...(body && { body: JSON.stringify(body) }),
    });
    return { status: answer.status, text: await answer.text() };
  };
  const json = async (method: string, path: string, body?: object) =>
    JSON.parse((await ask(method, `/v1${path}`, body)).text);
  const made = await json("POST", "/enrolment-tokens", { uses: 5, hours: 1 });
  const [device, thief] = [await makeDevice(), await makeDevice()];
  const send = async (request: Request) => app.app.request(request);
  const host = { hostname: "desk-1", employeeId: "dana" };
  const { assetId } = await enrolDevice(send, EDGE_URL, made.token, device, host);
  const key = assetKey(TENANT_ID, assetId);
  const self = { tenantId: TENANT_ID, assetId };
  const justification = "the laptop was stolen";
  await json("POST", `/assets/${assetId}/isolate`, { justification, mode: "network" });
  const stored = () => (table.items as Map<string, AttributeMap>).get(`${key.PK} | ${key.SK}`)!;
  /** Changes the asset item as the attacker does, without a condition and without a signature. */
  const edit = (members: object) =>
    table.dynamo("PutItem", { TableName: "t", Item: { ...stored(), ...marshalItem(members) } });
  const report = (more: Partial<ContainmentReport> = {}): ContainmentReport => ({
    ...{ generation: 1, action: "isolate", mode: "network", outcome: "applied", at: timestamp(state.nowMs) },
    probes: { controlPlaneReachable: true, forbiddenBlocked: true },
    ...more,
  });
  const prove = async (more: Partial<ContainmentReport> = {}): Promise<ProvenReport> => ({
    ...(await device.sign(self, report(more))),
    signedBy: device.x,
  });
  const faults = async () =>
    (await auditAuthority(needs, { tenantId: TENANT_ID, verifier, nowSeconds: state.nowMs / 1000 })).faults;
  const logged = () =>
    state.logged.map((line) => JSON.parse(line)).filter(({ event }) => event === "security.proof-refused");
  const world = {
    ...app,
    table,
    ask,
    json,
    assetId,
    self,
    device,
    thief,
    edit,
    report,
    prove,
    faults,
    logged,
  };
  return { ...world, refusals, send, host, justification };
}
type World = Awaited<ReturnType<typeof makeWorld>>;

const readers: Record<string, (world: World) => Promise<{ state: string; reason?: string; proof?: object }>> =
  {
    "the API's asset": async ({ json, assetId }) => (await json("GET", `/assets/${assetId}`)).containment,
    "the API's list": async ({ json }) => (await json("GET", "/assets")).items[0].containment,
    "the API's list of a person": async ({ json }) =>
      (await json("GET", "/assets?employee=dana")).items[0].containment,
    "the API's search": async ({ json }) => (await json("GET", "/assets?hostname=desk")).items[0].containment,
    "the API's isolations": async ({ json }) => (await json("GET", "/isolations")).items[0].containment,
  };

const forgeries: Record<string, (world: World) => Promise<object>> = {
  "has no signature": async ({ report }) => report(),
  "has no signature and names the device": async ({ report, device }) => ({
    ...report(),
    signedBy: device.x,
  }),
  "another device signed": async ({ thief, self, report }) => ({
    ...(await thief.sign(self, report())),
    signedBy: thief.x,
  }),
  "the device signed for another generation": async ({ prove }) => ({
    ...(await prove({ generation: 2 })),
    generation: 1,
  }),
  "the device signed for another mode": async ({ prove }) => ({
    ...(await prove({ mode: "observe" })),
    mode: "network",
  }),
  "the device signed as failed": async ({ prove }) => ({
    ...(await prove({ outcome: "failed" })),
    outcome: "applied",
  }),
  "the device signed as another asset": async ({ device, report, self }) => ({
    ...(await device.sign({ ...self, assetId: "01AAAAAAAAAAAAAAAAAAAAAAAA" }, report())),
    signedBy: device.x,
  }),
  "the device signed in another tenant": async ({ device, report, self }) => ({
    ...(await device.sign({ ...self, tenantId: "org_b" }, report())),
    signedBy: device.x,
  }),
};

describe("a stored proof", () => {
  test("that the device signed is shown by every reader", async () => {
    const world = await makeWorld();
    await world.edit({ proof: await world.prove() });
    for (const read of Object.values(readers))
      expect(await read(world)).toMatchObject({ state: "enforced", proof: { signedBy: world.device.x } });
    expect((await world.ask("GET", `/assets/${world.assetId}`)).text).toContain("Isolated, proven");
    expect([world.logged(), world.refusals.counted, await world.faults()]).toEqual([[], 0, []]);
  });

  test.each(Object.keys(forgeries))("that %s proves nothing, and is a security event", async (name) => {
    const world = await makeWorld();
    await world.edit({ proof: await forgeries[name]!(world) });
    const { assetId } = world;
    for (const read of Object.values(readers)) {
      const shown = await read(world);
      expect(shown).toMatchObject({ state: "pending", reason: REFUSED });
      expect(shown).not.toHaveProperty("proof");
    }
    const count = world.logged().length;
    expect(count).toBe(Object.keys(readers).length);
    expect(world.refusals.counted).toBe(count);
    expect(world.logged()[0]).toMatchObject({
      ...{ level: "error", tenantId: TENANT_ID, assetId, generation: 1, reason: REFUSED },
    });
    expect(await world.faults()).toEqual([{ item: `ASSET#${assetId}`, code: "proof" }]);
  });

  test("that is forged is not shown as proven on the pages, in the CSV and in the report", async () => {
    const world = await makeWorld();
    await world.edit({ proof: { ...world.report(), signedBy: world.device.x } });
    const page = (await world.ask("GET", `/assets/${world.assetId}`)).text;
    expect(page).toContain(`Not proven: ${REFUSED}`);
    for (const path of [`/assets/${world.assetId}`, "/assets", "/"])
      expect((await world.ask("GET", path)).text).not.toContain("Isolated, proven");
    const csv = await world.ask("GET", "/assets.csv");
    expect(csv.text).toContain(",pending,network,");
    const evidence = await gatherEvidence(world.deps, TENANT_ID, { from: "2026-01-01", to: "2026-12-31" });
    expect(JSON.stringify(evidence)).not.toContain("enforced");
    expect(evidence.coverage.hosts).toBe(1);
  });

  test("signed with a key that was put into the table proves nothing", async () => {
    const world = await makeWorld();
    const { thief, self, report } = world;
    const proof = { ...(await thief.sign(self, report())), signedBy: thief.x };
    await world.edit({ deviceKey: thief.x, proof });
    for (const read of Object.values(readers)) {
      const shown = await read(world);
      expect(shown.state).toBe("pending");
      expect(shown.reason).toBe("the stored record of this host does not match its signature");
    }
  });

  test("signed with a key that an admin had replaced proves nothing, and is not a fault", async () => {
    const world = await makeWorld();
    const { assetId, justification, send, host } = world;
    await world.edit({ proof: await world.prove() });
    const { token } = await world.json("POST", `/assets/${assetId}/rotate-key`, { justification, hours: 1 });
    await enrolDevice(send, EDGE_URL, token, await makeDevice(), host);
    const shown = await readers["the API's asset"]!(world);
    expect(shown).toMatchObject({
      state: "pending",
      reason: "the device key was replaced after this proof",
    });
    expect([world.logged(), await world.faults()]).toEqual([[], []]);
  });

  test("of a release that is forged does not prevent an admin from releasing the host with a code", async () => {
    const world = await makeWorld();
    const { assetId, justification } = world;
    await world.json("POST", `/assets/${assetId}/release`, { justification });
    await world.edit({ proof: world.report({ generation: 2, action: "release" }) });
    expect((await readers["the API's asset"]!(world)).state).toBe("releasing");
    const answer = await world.ask("POST", `/v1/assets/${assetId}/release-code`, { justification });
    expect(answer.status).toBe(201);
  });

  test("of a release that is forged does not take a silent host off the active list or out of the fleet count", async () => {
    const world = await makeWorld();
    const { assetId, justification, deps } = world;
    await world.json("POST", `/assets/${assetId}/release`, { justification });
    const released = { generation: 2, action: "release" } as const;
    const later = { ...deps, clock: () => world.state.nowMs + 31 * 86_400_000 };
    const count = async () => {
      const { rows, expired } = await readFleet(later, TENANT_ID, Promise.resolve(30));
      return [rows.length, expired.length];
    };
    await world.edit({ proof: world.report(released) });
    expect(await count()).toEqual([1, 0]);
    await world.edit({ proof: await world.prove(released) });
    expect(await count()).toEqual([0, 1]);
  });

  test("is verified once, although it is listed often", async () => {
    const world = await makeWorld();
    await world.edit({ proof: await world.prove() });
    const verify = crypto.subtle.verify.bind(crypto.subtle);
    let verified = 0;
    crypto.subtle.verify = ((...terms: Parameters<typeof verify>) => {
      if (JSON.stringify(terms[0]).includes("Ed25519")) verified++;
      return verify(...terms);
    }) as typeof verify;
    try {
      await world.json("GET", "/assets");
      const first = verified;
      expect(first).toBeGreaterThan(0);
      await world.json("GET", "/assets");
      expect(verified).toBe(first);
    } finally {
      crypto.subtle.verify = verify;
    }
  });
});

describe("an event of the SIEM export", () => {
  const record = async (
    world: World,
    kind: "isolation.proven" | "isolation.released",
    report?: ProvenReport,
  ) => {
    const { generation, action, mode } = report ?? world.report();
    const at = timestamp(world.state.nowMs - 60_000);
    const event = makeEvent(
      {
        ...{ kind, eventId: "evt_1", at, assetId: world.assetId, data: { generation, action, mode } },
        ...(report && { report }),
      },
      makeTenant({ tenantId: TENANT_ID }),
      at,
    );
    await world.table.dynamo("PutItem", eventPut(event, "t"));
    return (await readOcsf(world.deps, TENANT_ID, { limit: 10 })).items[0];
  };

  test("contains the device's signed report if an isolation is proven", async () => {
    const world = await makeWorld();
    const event = await record(world, "isolation.proven", await world.prove());
    expect(event).toMatchObject({ type_uid: 700_101, status_id: 1, status: "Success" });
    expect(world.logged()).toEqual([]);
  });

  test.each([
    ["without a report", async () => undefined],
    ["with a report that nobody signed", async ({ report }: World) => report() as ProvenReport],
    [
      "with a signed report of something else",
      async ({ prove }: World) => prove({ action: "release", mode: "network" }),
    ],
  ])("%s, says that the isolation is not proven", async (_, reportOf) => {
    const world = await makeWorld();
    const event = await record(world, "isolation.proven", await reportOf(world));
    expect(event).toMatchObject({
      ...{ type_uid: 700_101, status_id: 99, status: "Not proven", status_detail: REFUSED },
    });
    expect(world.logged()).toHaveLength(1);
  });
});
