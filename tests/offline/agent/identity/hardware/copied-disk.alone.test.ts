import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadIdentity } from "../../../../../agent/identity/device-identity.ts";
import { fingerprintFor } from "../../../../../agent/identity/hardware/fingerprint.ts";
import { silent } from "../../../../../agent/platform/log.ts";
import { openSpool } from "../../../../../agent/report/spool.ts";
import { onMachine } from "../../../../support/agent/other-machine.ts";
import { describeUnless, missing } from "../../../../support/missing.ts";
import {
  ASSET,
  problem,
  removeTemporaryDirectories,
  startEdge,
  TENANT,
  type TestEdge,
  TOKEN,
  temporaryDirectory,
  until,
} from "../../report/send-edge.ts";

/**
 * Test timeout in milliseconds. The tests run real processes, and other suites can use the machine at the
 * same time.
 */
setDefaultTimeout(60_000);

const MAIN = new URL("../../../../../agent/main.ts", import.meta.url).pathname;
const GOLDEN = { uuid: "4c4c4544-0033-4a10-8051-b4c04f4e3532", hostname: "golden" };
const COPY = { uuid: "564d1f22-9a1b-4c7e-8d3f-0a1b2c3d4e5f", hostname: "vdi-2" };
const NEW_ASSET = "01JD8Z0000000000000000NEW1";

const children: { kill: (signal: NodeJS.Signals) => void }[] = [];

function start(machine: typeof GOLDEN, args: readonly string[], env: Record<string, string> = {}) {
  const child = Bun.spawn(onMachine(machine, [process.execPath, MAIN, ...args]), {
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: process.env.PATH ?? "", HOME: "/nonexistent", ...env },
  });
  children.push(child);
  const done = Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]).then(([stdout, stderr, code]) => ({ code, stdout, stderr }));
  return { kill: (signal: NodeJS.Signals) => child.kill(signal), done };
}
const call = (machine: typeof GOLDEN, args: readonly string[], env?: Record<string, string>) =>
  start(machine, args, env).done;

let edge: TestEdge;
let golden: string;
let copy: string;

describeUnless(missing("Linux", "root"), "a copied disk", () => {
  beforeEach(async () => {
    edge = await startEdge();
    golden = join(temporaryDirectory(), "golden");
    copy = join(temporaryDirectory(), "copy");
    const args = ["enroll", "--url", edge.url, "--token", TOKEN, "--employee", "ada", "--state", golden];
    expect((await call(GOLDEN, args)).code).toBe(0);
    // The first run stores the hardware fingerprint. It could not be computed at enrolment, because the token
    // of this edge names no tenant.
    const first = start(GOLDEN, ["run", "--state", golden, "--interval", "100"]);
    await until("it reports", () => edge.taken.length > 0);
    first.kill("SIGTERM");
    await first.done;
    openSpool(golden, { log: silent }).append(9_000_000_000, JSON.stringify(edge.taken[0]));
    cpSync(golden, copy, { recursive: true });
    edge.assetId = NEW_ASSET;
    edge.taken.length = 0;
    edge.asked.length = 0;
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    await edge.stop();
    removeTemporaryDirectories();
  });

  test("the first machine keeps its identity and stores the fingerprint of its mainboard", async () => {
    expect(loadIdentity(golden)!.hardware).toEqual(
      fingerprintFor(TENANT, { strength: "board", values: [GOLDEN.uuid] }),
    );
    const run = start(GOLDEN, ["run", "--state", golden, "--interval", "100"]);
    await until("it reports", () => edge.taken.length > 0);
    run.kill("SIGTERM");
    expect((await run.done).code).toBe(0);
    expect(loadIdentity(golden)!.assetId).toBe(ASSET);
  });

  test("without a token: reports the copy, sends nothing else, and prints what to do", async () => {
    const { code, stderr } = await call(COPY, ["run", "--state", copy, "--interval", "100"]);
    expect(code).toBe(1);
    expect(stderr).toContain(
      "identity.copied: This disk was copied from another machine; its identity is not used",
    );
    expect(stderr).toEndWith(
      `lz-agent: the identity in ${copy} belongs to another machine (asset ${ASSET}): this disk was copied. ` +
        "Enrol this machine with lz-agent enroll, or start lz-agent run with --token-file so that it enrols itself. " +
        "If this is an image for other machines, remove the state directory\n",
    );
    expect(edge.asked).toEqual(["/v1/session"]);
    expect(edge.taken).toEqual([]);
    expect(loadIdentity(copy)!.assetId).toBe(ASSET);
    const status = await call(COPY, ["status", "--state", copy]);
    expect(status.code).toBe(3);
    expect(status.stdout).toContain(`copied       the identity in ${copy} belongs to another machine`);
    expect(JSON.parse((await call(COPY, ["status", "--json", "--state", copy])).stdout).copied).toBe(true);
    expect((await call(GOLDEN, ["status", "--state", golden])).stdout).not.toContain("copied");
  });

  test("with a token: enrols with a new key, and never sends the spool of the other machine", async () => {
    const file = join(temporaryDirectory(), "token");
    writeFileSync(file, TOKEN);
    const run = start(COPY, ["run", "--state", copy, "--interval", "100", "--token-file", file]);
    await until("it reports", () => edge.taken.length > 2);
    run.kill("SIGTERM");
    expect((await run.done).code).toBe(0);
    const identity = loadIdentity(copy)!;
    expect(identity.assetId).toBe(NEW_ASSET);
    expect(edge.enrolments[1]!.employeeId).toBe("ada");
    expect(edge.enrolments[1]!.deviceKey).not.toBe(edge.enrolments[0]!.deviceKey);
    expect(edge.taken.map(({ sequence }) => sequence)).not.toContain(9_000_000_000);
    expect(edge.taken.every(({ host }) => host.hostname === COPY.hostname)).toBe(true);
    // From now on, the machine has its own identity.
    edge.taken.length = 0;
    const again = start(COPY, ["run", "--state", copy, "--interval", "100"]);
    await until("it reports again", () => edge.taken.length > 0);
    again.kill("SIGTERM");
    expect((await again.done).code).toBe(0);
    expect(edge.enrolments).toHaveLength(2);
  });

  test("with an edge that is too old for fingerprints: does not report the copy, logs that, and still enrols", async () => {
    edge.isOlder = true;
    const args = ["run", "--state", copy, "--interval", "100"];
    const refused = await call(COPY, args);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(
      "copy.not-reported: The edge is too old to accept a report of a copied disk; update the edge",
    );
    // If the agent retried without the newer members, the retry would open a session as the other machine.
    expect(edge.asked).toEqual(["/v1/session"]);
    const run = start(COPY, args, { LZ_ENROLL_TOKEN: TOKEN });
    await until("it reports", () => edge.taken.length > 0);
    run.kill("SIGTERM");
    const { code, stderr } = await run.done;
    expect(code).toBe(0);
    expect(stderr).toContain("leftOut=agent.run");
    expect(loadIdentity(copy)!.assetId).toBe(NEW_ASSET);
    expect(edge.taken.every(({ agent }) => agent.run === undefined)).toBe(true);
  });

  test("if the response to an enrolment is lost, repeats the enrolment with the same key", async () => {
    let lost = 0;
    edge.fault = (path) => (path === "/v1/enroll" && lost++ === 0 ? problem("enrolment.used-up") : undefined);
    const env = { LZ_ENROLL_TOKEN: TOKEN };
    const args = ["run", "--state", copy, "--interval", "100"];
    const refused = await call(COPY, args, env);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("(enrolment.used-up)");
    const key = () => JSON.parse(readFileSync(join(copy, "device-key.json"), "utf8")).x as string;
    const made = key();
    expect(made).not.toBe(edge.enrolments[0]!.deviceKey);
    const run = start(COPY, args, env);
    await until("it reports", () => edge.taken.length > 0);
    run.kill("SIGTERM");
    await run.done;
    expect(key()).toBe(made);
    expect(existsSync(join(copy, "new-key.json"))).toBe(false);
  });

  test("enroll: needs no --force, because the identity belongs to another machine", async () => {
    const args = ["enroll", "--url", edge.url, "--token", TOKEN, "--employee", "bob", "--state", copy];
    const { code, stdout } = await call(COPY, args);
    expect([code, stdout]).toEqual([0, expect.stringContaining(`enrolled as ${NEW_ASSET} of ${TENANT}`)]);
    expect(loadIdentity(copy)!.assetId).toBe(NEW_ASSET);
  });

  test("the copy of an isolated host does not enrol, because its rules are possibly in force on the copy too", async () => {
    const report = { generation: 3, action: "isolate", mode: "network", outcome: "applied" };
    const stored = {
      report: { ...report, at: "2026-11-21T00:00:00.000Z" },
      underway: false,
      traces: { mode: "network", wasInForce: true },
    };
    for (const name of readdirSync(copy).filter((name) => /^containment/.test(name)))
      writeFileSync(join(copy, name), "");
    writeFileSync(join(copy, "containment.json"), JSON.stringify(stored), { mode: 0o600 });
    const { code, stderr } = await call(COPY, ["run", "--state", copy], { LZ_ENROLL_TOKEN: TOKEN });
    expect(code).toBe(1);
    expect(stderr).toContain("this host is isolated (mode network, generation 3): release it first");
    expect(edge.enrolments).toHaveLength(1);
  });

  test("the daemon also stops sending if the control plane rejects the copy", async () => {
    edge.fault = (path) => (path === "/v1/session" ? problem("asset.copied") : undefined);
    const run = start(GOLDEN, ["run", "--state", golden, "--interval", "100"]);
    await until("it asked", () => edge.asked.includes("/v1/session"));
    const said = () => JSON.parse(readFileSync(join(golden, "status.json"), "utf8")).connection;
    await until("it says so", () => said() === "copied");
    run.kill("SIGTERM");
    expect((await run.done).stderr).toContain(
      "asset.copied: This disk was copied from another machine; heartbeats are not sent",
    );
    expect(edge.taken).toEqual([]);
  });
});
