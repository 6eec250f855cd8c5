import { afterEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { acquireLock, lockHolder, processBirth } from "../../../../agent/daemon/single-instance-lock.ts";
import {
  deviceSigner,
  enrolmentSigner,
  loadIdentity,
  openDeviceKey,
  openSequence,
  SEQUENCE_BLOCK,
  saveIdentity,
} from "../../../../agent/identity/device-identity.ts";
import {
  AGENT_VERSION,
  type Host,
  parseEdgeUrl,
  stateDirectory,
} from "../../../../agent/platform/agent-version.ts";
import { createLog, silent } from "../../../../agent/platform/log.ts";
import {
  prepareDirectory,
  readState,
  StateFault,
  writeAtomically,
} from "../../../../agent/platform/state-files.ts";
import { openSpool } from "../../../../agent/report/spool.ts";
import manifest from "../../../../package.json";
import { utf8 } from "../../../../shared/encoding/bytes.ts";
import { parseDeviceKeyid } from "../../../../shared/wire/keyid.ts";
import {
  contentDigest,
  importDeviceKey,
  parseSignature,
  signRequest,
  verifySignature,
} from "../../../../shared/wire/signature.ts";
import { missing, testUnless } from "../../../support/missing.ts";
import {
  ASSET,
  controlKeys,
  removeTemporaryDirectories,
  SETTINGS,
  TENANT,
  temporaryDirectory,
} from "../report/send-edge.ts";

afterEach(removeTemporaryDirectories);

const modeOf = (path: string): number => statSync(path).mode & 0o777;

test("AGENT_VERSION is the version of the package", () => {
  expect(AGENT_VERSION).toBe(manifest.version);
});

describe("openDeviceKey()", () => {
  test("creates a key once, readable only by its owner, and returns the same key afterwards", async () => {
    const directory = temporaryDirectory();
    const made = await openDeviceKey(directory, "linux");
    expect(modeOf(join(directory, "device-key.json"))).toBe(0o600);
    expect((await openDeviceKey(directory, "linux")).x).toBe(made.x);
    expect(made.privateKey.extractable).toBe(false);
  });

  test.each([0o640, 0o604, 0o660, 0o644, 0o620])(
    "refuses a key file of mode %o and says what to do",
    async (mode) => {
      const directory = temporaryDirectory();
      await openDeviceKey(directory, "linux");
      chmodSync(join(directory, "device-key.json"), mode);
      expect(openDeviceKey(directory, "linux")).rejects.toThrow(/can be read by others/);
      // Windows has no POSIX file modes.
      expect((await openDeviceKey(directory, "win32")).x).toHaveLength(43);
    },
  );

  test.each(["", "{", '{"kty":"OKP"}', "null"])(
    "refuses a damaged key file and does not create another key: %p",
    async (content) => {
      const directory = temporaryDirectory();
      await openDeviceKey(directory, "linux");
      writeFileSync(join(directory, "device-key.json"), content);
      expect(openDeviceKey(directory, "linux")).rejects.toThrow(StateFault);
    },
  );

  test("signs enrolment and session requests that can be verified, and a changed body fails verification", async () => {
    const device = await openDeviceKey(temporaryDirectory(), "linux");
    for (const [signer, keyid] of [
      [enrolmentSigner(device), device.x],
      [deviceSigner(device, { tenantId: TENANT, assetId: ASSET }), `lzd1.${TENANT}.${ASSET}`],
    ] as const) {
      const body = utf8('{"agentVersion":"1"}');
      const headers = new Headers(
        await signRequest(signer, { method: "POST", path: "/v1/session", body }, 1_700_000_000),
      );
      const parsed = parseSignature(headers, "ed25519");
      if (!parsed.ok) throw new Error(parsed.code);
      expect(parsed.value.keyid).toBe(keyid);
      const key = await importDeviceKey(device.x);
      const digest = await contentDigest(body);
      expect(await verifySignature(key, parsed.value, { method: "POST", path: "/v1/session", digest })).toBe(
        true,
      );
      expect(await verifySignature(key, parsed.value, { method: "POST", path: "/v1/enroll", digest })).toBe(
        false,
      );
      const other = await contentDigest(utf8('{"agentVersion":"2"}'));
      expect(
        await verifySignature(key, parsed.value, { method: "POST", path: "/v1/session", digest: other }),
      ).toBe(false);
    }
    expect(parseDeviceKeyid(`lzd1.${TENANT}.${ASSET}`)).toEqual({ tenantId: TENANT, assetId: ASSET });
  });
});

describe("loadIdentity()", () => {
  const saved = async () => ({
    v: 1 as const,
    edgeUrl: "https://lz.example.com",
    employeeId: "ada",
    tenantId: TENANT,
    assetId: ASSET,
    jwks: (await controlKeys()).jwks,
    settings: SETTINGS,
    settingsVersion: 7,
  });
  test("ignores unsigned settings that an older agent stored", async () => {
    const directory = temporaryDirectory();
    const { settingsVersion: _, ...before } = await saved();
    saveIdentity(directory, {
      ...before,
      settings: { heartbeatIntervalMs: 600_000, clientDirectories: true },
    });
    expect(loadIdentity(directory)?.settings).toEqual({
      heartbeatIntervalMs: 5000,
      clientDirectories: false,
    });
  });
  test("returns what saveIdentity() saved, and undefined before that", async () => {
    const directory = temporaryDirectory();
    expect(loadIdentity(directory)).toBeUndefined();
    const identity = await saved();
    saveIdentity(directory, identity);
    expect(loadIdentity(directory)).toEqual(identity);
    expect(modeOf(join(directory, "identity.json"))).toBe(0o600);
  });
  test("names the damaged file", async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, "identity.json"), JSON.stringify({ ...(await saved()), assetId: "x" }));
    expect(() => loadIdentity(directory)).toThrow(
      /identity\.json is damaged: restore it from a backup, or remove it and run lz-agent enroll with a new token$/,
    );
  });
});

describe("openSequence()", () => {
  const deps = { clock: () => 1_780_000_000_000, log: silent };
  test("grows after each restart, even after a kill, and never repeats a number", () => {
    const directory = temporaryDirectory();
    const seen: number[] = [];
    for (let restart = 0; restart < 5; restart++) {
      const sequence = openSequence(directory, 0, deps);
      for (let i = 0; i < SEQUENCE_BLOCK + 3; i++) seen.push(sequence.next());
      if (restart % 2 === 0) sequence.close();
    }
    expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
  });
  test("an orderly stop skips no number, and a kill skips at most one block", () => {
    const directory = temporaryDirectory();
    const first = openSequence(directory, 0, deps);
    const last = first.next();
    first.close();
    const second = openSequence(directory, 0, deps);
    expect(second.next()).toBe(last + 1);
    expect(openSequence(directory, 0, deps).next()).toBe(last + 1 + SEQUENCE_BLOCK);
  });
  test("continues if the disk cannot be written, logs that once, and reserves numbers again afterwards", () => {
    const directory = temporaryDirectory();
    const said: string[] = [];
    const sequence = openSequence(directory, 1_800_000_007, {
      ...deps,
      log: (_level, event) => said.push(event),
    });
    mkdirSync(join(directory, "sequence.json.tmp"));
    expect([sequence.next(), sequence.next()]).toEqual([1_800_000_007, 1_800_000_008]);
    expect(said).toEqual(["sequence.not-saved"]);
    rmSync(join(directory, "sequence.json.tmp"), { recursive: true });
    expect(sequence.next()).toBe(1_800_000_009);
    expect(openSequence(directory, 0, deps).next()).toBe(1_800_000_009 + SEQUENCE_BLOCK);
  });
  test("starts above the numbers in the spool, and above the current epoch second if the file is lost or damaged", () => {
    const directory = temporaryDirectory();
    expect(openSequence(directory, 0, deps).next()).toBe(1_780_000_000);
    writeFileSync(join(directory, "sequence.json"), "{}");
    expect(openSequence(directory, 1_900_000_000, deps).next()).toBe(1_900_000_000);
  });
  test("starts at the epoch second of 2025 if the file is lost and the clock reads 1970", () => {
    const lost = { ...deps, clock: () => 20_000 };
    expect(openSequence(temporaryDirectory(), 0, lost).next()).toBe(Date.UTC(2025, 0) / 1000);
  });
});

describe("acquireLock()", () => {
  const births = new Map<number, string>([
    [10, "a"],
    [11, "b"],
  ]);
  const deps = (pid: number) => ({
    pid,
    birthOf: (asked: number) => births.get(asked),
    sleep: () => Bun.sleep(1),
  });
  test("admits one process, names that process to a second one, and admits the second after the release", async () => {
    const directory = temporaryDirectory();
    const first = await acquireLock(directory, deps(10));
    if (!first.ok) throw new Error("not acquired");
    expect(await acquireLock(directory, deps(11))).toEqual({ ok: false, holder: { pid: 10, birth: "a" } });
    first.release();
    expect((await acquireLock(directory, deps(11))).ok).toBe(true);
    expect(lockHolder(directory, deps(10))?.pid).toBe(11);
  });
  test.each([
    ["of a dead process", { pid: 99, birth: "x" }],
    ["of a process whose pid was given to another", { pid: 11, birth: "older" }],
    ["of an earlier life of this very pid", { pid: 10, birth: "older" }],
  ])("replaces a lock %s", async (_what, left) => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, "lock"), JSON.stringify(left));
    expect((await acquireLock(directory, deps(10))).ok).toBe(true);
    expect(lockHolder(directory, deps(10))?.pid).toBe(10);
  });
  testUnless(
    missing("Linux", "root", "mount"),
    "is released without an error on a disk that became read-only, and the next start replaces it",
    async () => {
      const directory = temporaryDirectory();
      const mount = (...words: string[]) => Bun.spawnSync(["mount", ...words, directory]);
      expect(mount("-t", "tmpfs", "-o", "size=1m", "tmpfs").success).toBe(true);
      try {
        const lock = await acquireLock(directory, deps(10));
        const spool = openSpool(directory, { log: silent });
        spool.append(1, '{"sequence":1}');
        writeFileSync(join(directory, "spool", "0000000000000002.json.tmp"), "{");
        const sequence = openSequence(directory, 2, { clock: Date.now, log: silent });
        expect(mount("-o", "remount,ro").success).toBe(true);
        sequence.close();
        expect(() => lock.ok && lock.release()).not.toThrow();
        expect(openSpool(directory, { log: silent }).oldest()?.sequence).toBe(1);
        births.delete(10);
        expect((await acquireLock(directory, deps(11))).ok).toBe(true);
      } finally {
        births.set(10, "a");
        Bun.spawnSync(["umount", directory]);
      }
    },
  );
  test("reports in one line that no file can be created in the directory", async () => {
    const nowhere = join(temporaryDirectory(), "nowhere");
    await expect(acquireLock(nowhere, deps(10))).rejects.toThrow(
      new StateFault(`cannot write to ${nowhere} (ENOENT): check the disk and the path`),
    );
  });
  testUnless(
    missing("ps"),
    "the start time by ps(1) is stable, and undefined once the process has ended",
    async () => {
      const born = processBirth(process.pid, "darwin");
      expect(Number.isFinite(Date.parse(`${born} UTC`))).toBe(true);
      expect(processBirth(process.pid, "darwin")).toBe(born!);
      const child = Bun.spawn(["sleep", "60"]);
      expect(processBirth(child.pid, "darwin")).toMatch(/:/);
      child.kill("SIGKILL");
      await child.exited;
      expect(processBirth(child.pid, "darwin")).toBeUndefined();
    },
  );
  test("replaces a half-written lock", async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, "lock"), "");
    expect((await acquireLock(directory, deps(10))).ok).toBe(true);
  });
  test("if two processes replace a lock at the same time, exactly one succeeds", async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, "lock"), JSON.stringify({ pid: 99, birth: "x" }));
    const both = await Promise.all([acquireLock(directory, deps(10)), acquireLock(directory, deps(11))]);
    expect(both.filter(({ ok }) => ok)).toHaveLength(1);
  });
  test("processBirth() finds this process, and returns nothing for an impossible pid", () => {
    expect(processBirth(process.pid, process.platform)).toBe(processBirth(process.pid, process.platform)!);
    expect(processBirth(2 ** 22 + 7, process.platform)).toBeUndefined();
  });
});

describe("prepareDirectory()", () => {
  test("creates it so that only its owner has access", () => {
    const directory = join(temporaryDirectory(), "a", "b");
    prepareDirectory(directory, "linux");
    expect(modeOf(directory)).toBe(0o700);
  });
  test("rejects a directory that others can write to, and keeps its mode", () => {
    const directory = join(temporaryDirectory(), "open");
    mkdirSync(directory);
    chmodSync(directory, 0o777);
    expect(() => prepareDirectory(directory, "linux")).toThrow(/writable by others/);
    expect(modeOf(directory)).toBe(0o777);
    chmodSync(directory, 0o755);
    prepareDirectory(directory, "linux");
  });
});

describe("writeAtomically()", () => {
  test("keeps the old content and leaves no temporary file if it fails", () => {
    const directory = temporaryDirectory();
    const path = join(directory, "f");
    writeAtomically(path, "old");
    mkdirSync(`${path}.tmp`);
    expect(() => writeAtomically(path, "new")).toThrow();
    expect(readFileSync(path, "utf8")).toBe("old");
  });
  test("replaces the whole content", () => {
    const path = join(temporaryDirectory(), "f");
    writeAtomically(path, "a much longer old content");
    writeAtomically(path, "new");
    expect(readFileSync(path, "utf8")).toBe("new");
    expect(existsSync(`${path}.tmp`)).toBe(false);
    expect(modeOf(path)).toBe(0o600);
  });
  test("readState() throws StateFault, never a raw parse error", async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, "f"), "{");
    const { z } = await import("zod");
    expect(() => readState(directory, "f", z.object({}))).toThrow(StateFault);
  });
});

describe("stateDirectory()", () => {
  const host = (more: Partial<Host>): Host => ({
    platform: "linux",
    env: {},
    isRoot: false,
    home: "/home/ada",
    ...more,
  });
  test.each([
    [host({ isRoot: true }), undefined, "/var/lib/lifecyclezero"],
    [host({}), undefined, "/home/ada/.local/state/lifecyclezero"],
    [host({ env: { XDG_STATE_HOME: "/x" } }), undefined, "/x/lifecyclezero"],
    [host({ env: { XDG_STATE_HOME: "relative" } }), undefined, "/home/ada/.local/state/lifecyclezero"],
    [
      host({ platform: "darwin", home: "/Users/ada" }),
      undefined,
      "/Users/ada/Library/Application Support/LifecycleZero",
    ],
    [host({ platform: "darwin", isRoot: true }), undefined, "/Library/Application Support/LifecycleZero"],
    [host({ platform: "win32", env: { ProgramData: "D:\\Data" } }), undefined, "D:\\Data\\LifecycleZero"],
    [host({ platform: "win32" }), undefined, "C:\\ProgramData\\LifecycleZero"],
    [host({ env: { LZ_STATE_DIR: "/env" } }), undefined, "/env"],
    [host({ env: { LZ_STATE_DIR: "/env" } }), "/flag", "/flag"],
  ] as const)("with %j and --state %p returns %p", (given, flag, expected) => {
    expect(stateDirectory(given, flag)).toBe(expected);
  });
});

describe("parseEdgeUrl()", () => {
  test.each([
    ["https://lz.example.com", "https://lz.example.com"],
    ["https://lz.example.com/", "https://lz.example.com"],
    ["http://127.0.0.1:8787", "http://127.0.0.1:8787"],
    ["http://localhost:8787/", "http://localhost:8787"],
    ["http://[::1]:1", "http://[::1]:1"],
  ])("%p is %p", (text, origin) => {
    expect(parseEdgeUrl(text, false)).toEqual({ ok: true, origin });
  });
  test.each([
    "",
    "lz.example.com",
    "ftp://lz.example.com",
    "http://lz.example.com",
    "http://127.0.0.1.evil.example",
    "http://localhost.evil.example",
    "https://user:pw@lz.example.com",
    "https://lz.example.com/path",
    "https://lz.example.com/?q",
    "https://lz.example.com/#f",
  ])("rejects %p", (text) => {
    expect(parseEdgeUrl(text, false).ok).toBe(false);
  });
  test("accepts http to another host only with allow-http", () => {
    expect(parseEdgeUrl("http://10.0.0.1:8787", true)).toEqual({ ok: true, origin: "http://10.0.0.1:8787" });
  });
});

describe("createLog()", () => {
  test("writes one line for any values, and no line below its level", () => {
    const lines: string[] = [];
    const log = createLog({
      write: (line) => lines.push(line),
      clock: () => 0,
      format: "text",
      level: "info",
    });
    log("debug", "directive.outdated");
    log("warn", "scan.failed", { reason: "a\nb\u001b[31m", count: 3, gone: undefined });
    expect(lines).toEqual([
      '1970-01-01T00:00:00.000Z warn  scan.failed: The scan failed; the heartbeat repeats the engines of the last scan reason="a\ufffdb\ufffd[31m" count=3',
    ]);
  });
  test("writes JSON with level, stage, event, message and fields", () => {
    const lines: string[] = [];
    const log = createLog({
      write: (line) => lines.push(line),
      clock: () => 0,
      format: "json",
      level: "debug",
    });
    log("debug", "agent.started", { asset: ASSET });
    expect(JSON.parse(lines[0]!)).toEqual({
      at: "1970-01-01T00:00:00.000Z",
      level: "debug",
      stage: "agent",
      event: "agent.started",
      message: "The agent is running",
      asset: ASSET,
    });
  });
});
