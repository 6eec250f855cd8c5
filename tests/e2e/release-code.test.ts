import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { importJWK } from "jose";
import { startStage } from "../../local/stage.ts";
import { verifyExport } from "../../lz/custody/custody-export.ts";
import { verifyCustody } from "../../shared/containment/custody-chain.ts";
import type { AuditItem, CustodyHeadItem } from "../../shared/table/items/custody.ts";
import { signReleaseCode } from "../../shared/wire/release-code.ts";
import { COMPILE_FLAGS } from "../../tools/build-agent.ts";
import { eventually, ROOT, startTestStack, type TestStack } from "../support/stack.ts";

/*
 * Tests a host with the compiled agent. The host is isolated and loses the connection to its control plane.
 * Then the host is released by a code that an administrator made earlier. Once the host is connected again,
 * the custody log contains the release.
 */
describe("lz release-code → lz-agent release", () => {
  const folder = mkdtempSync(join(tmpdir(), "lz-release-code-"));
  const binary = join(folder, "lz-agent");
  // A separate configuration file, because the configuration file of this machine can belong to another
  // agent.
  const config = join(folder, "agent.json");
  const ENVIRONMENT = { PATH: process.env.PATH ?? "", HOME: folder, LZ_CONFIG: config };
  let stack: TestStack;
  beforeAll(async () => {
    writeFileSync(config, "{}", { mode: 0o600 });
    const compile = ["build", ...COMPILE_FLAGS, join(ROOT, "agent/main.ts"), "--outfile", binary];
    const compiled = Bun.spawnSync([process.execPath, ...compile], { cwd: folder, stdout: "ignore" });
    if (!compiled.success) throw new Error(`the agent did not compile: ${compiled.stderr}`);
    stack = await startTestStack("bun");
  }, 120_000);
  afterAll(async () => {
    await stack?.stop();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  const agent = async (...args: string[]) => {
    const child = Bun.spawn([binary, ...args], { env: ENVIRONMENT, stdout: "pipe", stderr: "pipe" });
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    return { code: await child.exited, said: out + err };
  };

  /** Starts an enrolled agent. It enforces mode `observe`, which changes nothing on this machine. */
  async function startHost(name: string) {
    const state = join(folder, name);
    const token = await stack.enrolmentToken();
    const where = ["--url", stack.edgeUrl, "--token", token, "--employee", name, "--state", state];
    expect(await agent("enroll", ...where)).toMatchObject({ code: 0 });
    const assetId = JSON.parse((await agent("status", "--json", "--state", state)).said).assetId as string;
    const stage = await startStage({
      name,
      command: [binary, "run", "--state", state, "--interval", "500"],
      env: ENVIRONMENT,
      cwd: folder,
      onLine: (_stage, line) => stack.lines.push(`${name} ${line}`),
      isReady: (line) => line.includes("control-plane.online"),
      readyMs: 60_000,
    });
    stack.add(stage);
    return { assetId, state };
  }

  const stateOf = async (assetId: string) =>
    ((await (await stack.api(`/v1/assets/${assetId}`)).json()) as { containment: { state: string } })
      .containment.state;
  const isolate = async (assetId: string, key: string) => {
    const body = { justification: "unknown model weights" };
    expect((await stack.api(`/v1/assets/${assetId}/isolate`, { method: "POST", body, key })).status).toBe(
      202,
    );
    await eventually(async () => (await stateOf(assetId)) === "acknowledged", 30_000);
  };
  /** Makes a release code at a terminal, as an administrator does. */
  async function makeCode(assetId: string): Promise<string> {
    const reason = ["--reason", "the host is stranded", "--hours", "1"];
    const child = Bun.spawn(
      [process.execPath, join(ROOT, "lz/main.ts"), "release-code", assetId, ...reason],
      {
        env: { PATH: process.env.PATH ?? "", LZ_URL: stack.edgeUrl, LZ_TOKEN: stack.adminToken },
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    expect([await child.exited, err.includes("This one-time code is valid until")]).toEqual([0, true]);
    return out.trim();
  }
  const custody = async () =>
    (await (await stack.api("/v1/custody")).json()) as { records: AuditItem[]; head: CustodyHeadItem };

  test("a code releases its host once while the host is offline, similar codes are rejected, and the custody log records the release later", async () => {
    const host = await startHost("stranded");
    const other = await startHost("other");
    await isolate(host.assetId, "isolating-the-first");
    await isolate(other.assetId, "isolating-the-second");
    const [code, othersCode] = [await makeCode(host.assetId), await makeCode(other.assetId)];
    const { jti } = JSON.parse(Buffer.from(code.split(".")[1]!, "base64url").toString()) as { jti: string };

    const edge = stack.stages.get("edge")!;
    edge.kill("SIGSTOP");
    try {
      const release = (text: string) => agent("release", "--code", text, "--state", host.state);
      expect((await release(othersCode)).said).toContain("not released: it is for another asset");
      expect((await release(await expired(host.assetId))).said).toContain('not released: "exp" claim');
      const { said, code: exit } = await release(`${code.slice(0, -6)}AAAAAA`);
      expect([exit, said]).toEqual([
        1,
        expect.stringContaining("not released: signature verification failed"),
      ]);
      expect(await release(code)).toEqual({
        code: 0,
        said: expect.stringContaining("released: this host is no longer isolated"),
      });
      expect((await release(code)).said).toContain("not released: the code was already used");
      const status = JSON.parse((await agent("status", "--json", "--state", host.state)).said);
      expect(status.running).toBe(true);
    } finally {
      edge.kill("SIGCONT");
    }

    await eventually(async () => (await stateOf(host.assetId)) === "released-offline", 60_000);
    const used = await eventually(
      async () => (await custody()).records.find(({ action }) => action === "release-offline"),
      30_000,
    );
    expect(used).toMatchObject({
      assetId: host.assetId,
      operatorId: `asset_${host.assetId}`,
      generation: 1,
      after: "RELEASED-OFFLINE",
      justification: `released at the host with code ${jti}`,
    });
    const { records, head } = await custody();
    expect(await verifyCustody(records, head)).toBeUndefined();
    // The custody log contains the agent's statement, signed with the device key on the agent's disk.
    const { x } = JSON.parse(readFileSync(join(host.state, "device-key.json"), "utf8")) as { x: string };
    expect(used.report).toMatchObject({ generation: 1, action: "release", signedBy: x });
    expect(await verifyExport({ records, head }, {})).toMatchObject({ reports: 1, checkpoint: "unchecked" });
    const ofHost = records.filter(({ assetId }) => assetId === host.assetId);
    const ordered = ofHost.toSorted((a, b) => a.number - b.number);
    expect(ordered.map(({ action }) => action)).toEqual([
      "isolate",
      "create-release-code",
      "release-offline",
    ]);
    expect(ordered[1]).toMatchObject({ target: jti, justification: "the host is stranded" });
    expect(JSON.stringify(records)).not.toContain(code.split(".")[2]!);
    expect(await stateOf(other.assetId)).toBe("acknowledged");
  }, 240_000);

  /** Makes a release code for a past period. Only the holder of the control key can make such a code. */
  async function expired(assetId: string): Promise<string> {
    const nowSeconds = Math.floor(Date.now() / 1000);
    const { controlKey } = stack.secrets;
    return signReleaseCode(
      { kid: String(controlKey.kid), key: (await importJWK(controlKey, "EdDSA")) as CryptoKey },
      {
        tenant: stack.tenantId,
        asset: assetId,
        generation: 1,
        jti: "01JD8Z000000000000000000AA",
        iat: nowSeconds - 7200,
        exp: nowSeconds - 10,
      },
    );
  }
});
