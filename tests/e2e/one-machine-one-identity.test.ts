import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildAgent } from "../support/agent/agent-binary.ts";
import { onMachine } from "../support/agent/other-machine.ts";
import { describeUnless, missing } from "../support/missing.ts";
import { eventually, startTestStack, type TestStack } from "../support/stack.ts";

/*
 * Runs two compiled agents on two simulated machines. Each machine is a mount namespace with its own
 * mainboard id. Without namespaces, both agents see the mainboard of this host, like two machines that cannot
 * be distinguished.
 */

type Shape = { assetId: string; hostname: string; enrolledBefore?: string[]; enrolledAgainAs?: string };
type Asset = Shape & { containment: { state: string; proof?: { generation: number } } };
type Incident = { rule: string; status: string; explanation: string };

const GOLDEN = { uuid: "4c4c4544-0033-4a10-8051-b4c04f4e3532", hostname: "golden-image" };
const COPY = { uuid: "564d1f22-9a1b-4c7e-8d3f-0a1b2c3d4e5f", hostname: "vdi-0002" };
const NEITHER = (hostname: string) => ({ uuid: "Not Specified", hostname });
const TEST_MS = 180_000;

describeUnless(missing("Linux", "root"), "one machine, one identity", () => {
  let binary: string;
  let stack: TestStack;
  let folder: string;
  const daemons: { kill: (signal: NodeJS.Signals) => void; exited: Promise<number> }[] = [];

  beforeAll(async () => {
    binary = buildAgent();
    stack = await startTestStack("bun");
  }, 240_000);
  afterAll(async () => stack?.stop(), 60_000);
  afterEach(async () => {
    for (const daemon of daemons.splice(0)) {
      daemon.kill("SIGTERM");
      await daemon.exited;
    }
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  const env = () => ({ PATH: process.env.PATH ?? "", HOME: folder, LZ_CONFIG: join(folder, "agent.json") });
  const path = (name: string) => join(folder, name);
  function begin(): void {
    folder = mkdtempSync(join(tmpdir(), "lz-identity-"));
    writeFileSync(path("agent.json"), "{}", { mode: 0o600 });
  }
  async function enrol(machine: typeof GOLDEN, state: string): Promise<string> {
    const command = [binary, "enroll", "--url", stack.edgeUrl, "--state", path(state), "--employee", "ada"];
    const secrets = { LZ_ENROLL_TOKEN: await stack.enrolmentToken() };
    const enrolled = Bun.spawn(onMachine(machine, command), {
      env: { ...env(), ...secrets },
      stderr: "pipe",
      stdout: "pipe",
    });
    expect([await enrolled.exited, await new Response(enrolled.stderr).text()]).toEqual([0, ""]);
    return identityOf(state).assetId;
  }
  const identityOf = (state: string) =>
    JSON.parse(readFileSync(path(`${state}/identity.json`), "utf8")) as { assetId: string };
  function run(machine: typeof GOLDEN, state: string, more: readonly string[] = []) {
    const command = [binary, "run", "--state", path(state), "--interval", "1000", ...more];
    const daemon = Bun.spawn(onMachine(machine, command), { env: env(), stdout: "ignore", stderr: "pipe" });
    const stderr = new Response(daemon.stderr).text();
    daemons.push(daemon);
    return { daemon, stderr };
  }
  const assetOf = async (assetId: string) =>
    (await (await stack.api(`/v1/assets/${assetId}`)).json()) as Asset & {
      presence?: { lastSeenAt: string };
    };
  const reporting = (assetId: string) =>
    eventually(async () => (await assetOf(assetId)).presence !== undefined, 30_000);
  const incident = (assetId: string, rule: string) =>
    eventually(async () => {
      const answer = await stack.api(`/v1/assets/${assetId}/incidents`);
      const { items } = (await answer.json()) as { items: Incident[] };
      return items.find((one) => one.rule === rule && one.status === "OPEN");
    }, 120_000);
  const change = (assetId: string, action: "isolate" | "release", more: object = {}) =>
    stack.api(`/v1/assets/${assetId}/${action}`, {
      method: "POST",
      key: crypto.randomUUID(),
      body: { justification: "a test of copies", ...more },
    });
  const proven = (assetId: string, generation: number) =>
    eventually(async () => (await assetOf(assetId)).containment.proof?.generation === generation, 30_000);
  /** Returns the newest generation that the agent with this state directory has applied. */
  const obeyed = (state: string): number => {
    const file = path(`${state}/containment.json`);
    if (!existsSync(file)) return 0;
    return JSON.parse(readFileSync(file, "utf8")).report.generation as number;
  };

  test(
    "a disk copied to another mainboard enrols again, opens an incident of the first asset, and ignores that asset's directives",
    async () => {
      begin();
      const assetId = await enrol(GOLDEN, "golden");
      cpSync(path("golden"), path("copy"), { recursive: true });
      run(GOLDEN, "golden");
      await reporting(assetId);

      // Without an enrolment token, the agent prints what to do and ends.
      const refused = run(COPY, "copy");
      expect(await refused.daemon.exited).toBe(1);
      expect(await refused.stderr).toContain(`belongs to another machine (asset ${assetId})`);
      expect((await incident(assetId, "identity-cloned")).explanation).toContain(
        `${COPY.hostname} has a copy of this identity on another mainboard`,
      );

      writeFileSync(path("token"), await stack.enrolmentToken());
      run(COPY, "copy", ["--token-file", path("token")]);
      const own = await eventually(async () => {
        const { assetId: now } = identityOf("copy");
        return now === assetId ? undefined : now;
      }, 30_000);
      await reporting(own);
      expect((await assetOf(own)).hostname).toBe(COPY.hostname);
      expect((await assetOf(own)).enrolledBefore).toBeUndefined();

      expect((await change(assetId, "isolate", { mode: "observe" })).status).toBe(202);
      await proven(assetId, 1);
      expect(obeyed("golden")).toBe(1);
      expect(obeyed("copy")).toBe(0);
      expect((await assetOf(own)).containment.state).toBe("active");
    },
    TEST_MS,
  );

  test(
    "a reinstalled machine names its previous asset, and opens an incident if that asset was isolated",
    async () => {
      begin();
      const board = { ...GOLDEN, uuid: "4c4c4544-0033-4a10-8051-b4c04f4e9999" };
      const before = await enrol(board, "first");
      const first = run(board, "first");
      await reporting(before);
      expect((await change(before, "isolate", { mode: "observe" })).status).toBe(202);
      await proven(before, 1);
      first.daemon.kill("SIGTERM");
      await first.daemon.exited;

      const after = await enrol({ ...board, hostname: "fresh" }, "second");
      expect(after).not.toBe(before);
      expect((await assetOf(after)).enrolledBefore).toEqual([before]);
      run({ ...board, hostname: "fresh" }, "second");
      expect((await incident(after, "isolated-host-reenrolled")).explanation).toContain(before);

      // The host is enrolled a third time. The previous identity was never used. The control plane proposes
      // to remove that identity once it no longer reports.
      for (const daemon of daemons.splice(0)) {
        daemon.kill("SIGTERM");
        await daemon.exited;
      }
      const third = await enrol({ ...board, hostname: "fresher" }, "third");
      expect((await assetOf(third)).enrolledBefore).toEqual([after, before]);
      expect((await assetOf(after)).enrolledAgainAs).toBe(third);
      expect((await assetOf(before)).enrolledAgainAs).toBeUndefined();
    },
    TEST_MS,
  );

  test(
    "two machines that cannot be distinguished open an incident, and a directive goes to both only if an admin confirms that",
    async () => {
      begin();
      const assetId = await enrol(NEITHER("golden-image"), "a");
      cpSync(path("a"), path("b"), { recursive: true });
      run(NEITHER("vdi-0001"), "a");
      run(NEITHER("vdi-0002"), "b");
      const { explanation } = await incident(assetId, "identity-cloned");
      expect(explanation).toContain("2 machines alternately report with this identity");
      expect(explanation).toContain("vdi-0001");
      expect(explanation).toContain("vdi-0002");
      const refused = await change(assetId, "isolate", { mode: "observe" });
      expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([
        409,
        "admin.copies",
      ]);
      expect((await change(assetId, "isolate", { mode: "observe", everyCopy: true })).status).toBe(202);
      await eventually(async () => ["a", "b"].every((name) => obeyed(name) === 1), 30_000);
    },
    TEST_MS,
  );
});
