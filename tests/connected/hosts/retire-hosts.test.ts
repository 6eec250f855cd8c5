import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { JSONWebKeySet } from "jose";
import { embeddedClient } from "../../../local/table.ts";
import { makeEngine, openSession } from "../../../lz/platform/simulated-agents.ts";
import { createAuthority } from "../../../shared/authority/read-authority.ts";
import { createVerifier } from "../../../shared/authority/verify-authority.ts";
import { values } from "../../../shared/table/dynamo.ts";
import { actionRequired, GSI2, TABLE_NAME } from "../../../shared/table/keys.ts";
import { closeRevoked, REVOKED_OPEN_MS } from "../../../worker/fleet/close-revoked.ts";
import { createDynamo } from "../../../worker/platform/dynamodb-client.ts";
import { openIncident } from "../../support/control/open-incident.ts";
import {
  enrolAsset,
  eventually,
  ROOT,
  type SimulatedAsset,
  startTestStack,
  type TestStack,
} from "../../support/stack.ts";

/** Tests hosts that are removed, expired, merged or revoked, on the real stack with signatures and `lz`. */

let stack: TestStack;
beforeAll(async () => {
  stack = await startTestStack("bun");
}, 60_000);
afterAll(() => stack?.stop());

type Asset = {
  assetId: string;
  hostname: string;
  revokedAt?: string;
  supersededBy?: string;
  supersedes?: string[];
  lifecycle: { state: string; reason?: string };
};
const get = async (assetId: string) => (await (await stack.api(`/v1/assets/${assetId}`)).json()) as Asset;
const listed = async (query = "") =>
  ((await (await stack.api(`/v1/assets?limit=200${query}`)).json()) as { items: Asset[] }).items.map(
    ({ hostname }) => hostname,
  );

async function lz(...argv: string[]) {
  const child = Bun.spawn([process.execPath, join(ROOT, "lz/main.ts"), ...argv], {
    ...{ cwd: ROOT, stdin: "ignore", stdout: "pipe", stderr: "pipe" },
    env: { ...process.env, LZ_URL: stack.edgeUrl, LZ_TOKEN: stack.adminToken },
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { out: out.trim(), err: err.trim(), code };
}

const isVerified = async () => {
  const checked = await lz("audit", "verify");
  expect([checked.code, checked.err]).toEqual([0, ""]);
  return checked.out;
};
const because = ["--reason", "the pool was rebuilt"];

describe("lz assets on the real stack", () => {
  test("a host removed from the active list returns with its next heartbeat, and the custody log verifies", async () => {
    const asset = await enrolAsset(stack, "on-leave");
    await asset.beat();
    await eventually(async () => (await get(asset.assetId)).lifecycle.state === "active");
    const expired = await lz("assets", "expire", "on-leave", ...because, "--yes");
    expect([expired.out, expired.code]).toEqual(["1 asset taken off the active list", 0]);
    expect((await get(asset.assetId)).lifecycle).toMatchObject({ state: "expired", reason: "removed" });
    expect(await listed()).not.toContain("on-leave");
    // A changed state updates the presence immediately. An unchanged state updates the presence only at the
    // sampling interval.
    await asset.beat({ engines: [makeEngine()] });
    await eventually(async () => (await listed()).includes("on-leave"));
    await isVerified();
  });

  test("a bulk revocation by query writes a custody record for each host and stops their heartbeats", async () => {
    const pool: SimulatedAsset[] = [];
    for (let i = 0; i < 30; i++) pool.push(await enrolAsset(stack, `vdi-${i}`));
    const present = await enrolAsset(stack, "desk-1");
    await Promise.all([pool[0]!.beat(), present.beat()]);
    const query = ["--hostname", "vdi-*", "--never-reported"];
    await eventually(async () => (await listed("&neverReported=false")).includes("vdi-0"));

    const looked = await lz("assets", "revoke", ...query, ...because, "--dry-run");
    expect(looked.out).toContain("29 assets would be revoked.");
    const refused = await lz("assets", "revoke", ...query, ...because);
    expect([refused.code, refused.err.split("\n").at(-1)]).toEqual([
      2,
      "assets revoke: there is no terminal for the confirmation: check with --dry-run, then use --yes",
    ]);
    const done = await lz("assets", "revoke", ...query, ...because, "--yes");
    expect([done.out, done.code]).toEqual(["29 assets revoked", 0]);
    const again = await lz("assets", "revoke", ...query, ...because, "--yes");
    expect([again.out, again.code]).toEqual(["No asset matches. Nothing was changed.", 0]);

    expect((await get(pool[0]!.assetId)).revokedAt).toBeUndefined();
    expect((await get(pool[7]!.assetId)).revokedAt).toBeString();
    await eventually(async () => (await pool[7]!.beat()).status === 403);
    expect((await pool[0]!.beat()).status).toBe(202);
    const { items } = (await (await stack.api(`/v1/assets/${pool[7]!.assetId}/custody`)).json()) as {
      items: { action: string; justification: string }[];
    };
    expect(items).toMatchObject([{ action: "revoke", justification: "the pool was rebuilt" }]);
    await isVerified();
  });

  test("a merge links both assets, closes the old asset's incidents and permanently stops its reports", async () => {
    const [old, next] = [await enrolAsset(stack, "laptop"), await enrolAsset(stack, "laptop")];
    await Promise.all([old.beat(), next.beat()]);
    await openIncident(stack, old, { rule: "left-behind" });
    await eventually(
      async () => (await listed("&neverReported=false")).filter((name) => name === "laptop")[1],
    );
    const active = await lz("assets", "merge", old.assetId, next.assetId, ...because, "--yes");
    expect([active.code, active.err.split("\n").at(-1)]).toEqual([
      1,
      expect.stringContaining("the asset reported within the last 10 minutes, so it is in use"),
    ]);
    const merge = ["assets", "merge", old.assetId, next.assetId, ...because, "--yes", "--even-if-active"];
    const done = await lz(...merge);
    expect([done.out, done.code]).toEqual([
      `laptop (${old.assetId}): merged into ${next.assetId} and revoked`,
      0,
    ]);
    expect(await get(old.assetId)).toMatchObject({
      supersededBy: next.assetId,
      lifecycle: { state: "expired", reason: "superseded" },
    });
    expect((await get(next.assetId)).supersedes).toEqual([old.assetId]);
    const incidents = (await (await stack.api(`/v1/assets/${old.assetId}/incidents`)).json()) as {
      items: { status: string; resolution: string }[];
    };
    expect(incidents.items.map(({ status }) => status)).toEqual(["RESOLVED"]);
    expect(incidents.items[0]!.resolution).toBe(`the host was merged into asset ${next.assetId}`);
    await eventually(async () => (await old.beat()).status === 403);
    expect((await next.beat()).status).toBe(202);
    // A host name selects the host with this name in the list of active hosts.
    const named = await lz("assets", "expire", "laptop", ...because, "--dry-run", "--json");
    expect((JSON.parse(named.out) as Asset[]).map(({ assetId }) => assetId)).toEqual([next.assetId]);
    await isVerified();
  });

  test("revoked hosts leave the index of open actions once their last session has expired, and stay revoked", async () => {
    const [stolen, contained] = [
      await enrolAsset(stack, "stolen"),
      await enrolAsset(stack, "stolen-contained"),
    ];
    const session = await openSession(fetch, stack.edgeUrl, stolen.device, stolen);
    expect(session.expiresAtSeconds * 1000 - Date.now()).toBeLessThanOrEqual(REVOKED_OPEN_MS / 2);
    const isolated = await stack.api(`/v1/assets/${contained.assetId}/isolate`, {
      ...{ method: "POST", key: crypto.randomUUID() },
      body: { justification: "stolen", mode: "network" },
    });
    expect(isolated.status).toBe(202);
    const names = ["stolen", "stolen-contained"];
    const revoked = await lz("assets", "revoke", ...names, ...because, "--even-if-contained", "--yes");
    expect([revoked.out, revoked.code]).toEqual(["2 assets revoked", 0]);
    await eventually(async () => (await stolen.beat()).status === 403);

    expect(await closeAfter(REVOKED_OPEN_MS - 60_000)).toEqual({ closed: 0, left: expect.any(Array) });
    const { closed, left } = await closeAfter(REVOKED_OPEN_MS + 60_000);
    expect(closed).toBeGreaterThanOrEqual(1);
    expect(left).not.toContain(stolen.assetId);
    expect(left).toContain(contained.assetId);
    expect(await closeAfter(REVOKED_OPEN_MS + 60_000)).toEqual({ closed: 0, left });

    expect((await get(stolen.assetId)).revokedAt).toBeString();
    for (const { device, ...who } of [stolen, contained])
      await expect(openSession(fetch, stack.edgeUrl, device, who)).rejects.toThrow("asset.revoked");
    const { items } = (await (await stack.api("/v1/isolations")).json()) as { items: Asset[] };
    expect(items.map(({ hostname }) => hostname)).toEqual(["stolen-contained"]);
    await isVerified();
  });
});

/**
 * Runs the worker's cleanup of the index of open actions with a clock that is `ms` milliseconds ahead.
 * Returns the assets that stay in the index.
 */
async function closeAfter(ms: number): Promise<{ closed: number; left: string[] }> {
  const client = embeddedClient(stack.dynamodbEndpoint);
  try {
    const clock = () => Date.now() + ms;
    const pause = async () => {};
    const dynamo = createDynamo(client, { clock, pause, token: () => crypto.randomUUID() });
    const verifier = createVerifier(JSON.parse(stack.workerEnv.LZ_CONTROL_JWKS!) as JSONWebKeySet);
    const needs = { dynamo, table: TABLE_NAME, log: () => {} };
    const authority = createAuthority({ ...needs, verifier, mode: "enforce", pause });
    const closed = await closeRevoked(stack.tenantId, { ...needs, clock, authority });
    const { Items } = await dynamo("Query", {
      ...{ TableName: TABLE_NAME, IndexName: GSI2, KeyConditionExpression: "GSI2PK = :open" },
      ExpressionAttributeValues: values({ open: actionRequired(stack.tenantId) }),
    });
    return { closed, left: Items!.map(({ assetId }) => assetId!.S!) };
  } finally {
    client.destroy();
  }
}
