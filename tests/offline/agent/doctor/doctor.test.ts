import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { acquireLock, processBirth } from "../../../../agent/daemon/single-instance-lock.ts";
import { type DaemonStatus, writeStatus } from "../../../../agent/daemon/status-file.ts";
import type { Check } from "../../../../agent/doctor/check.ts";
import { checkClock, checkSession } from "../../../../agent/doctor/control-plane.ts";
import { checkService } from "../../../../agent/doctor/host.ts";
import { loadIdentity } from "../../../../agent/identity/device-identity.ts";
import { uncontained } from "../../../../agent/report/compose-heartbeat.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import { signAgentSettings } from "../../../../shared/wire/agent-settings.ts";
import { type PinnedKeys, signKeySet } from "../../../../shared/wire/key-set.ts";
import {
  type Certificate,
  createPrivateCa,
  type ForwardProxy,
  freePort,
  type PrivateCa,
  startForwardProxy,
  startTlsFront,
  startTlsRelay,
  TOOLS,
} from "../../../support/agent/corporate-network.ts";
import { makeSigningKey } from "../../../support/control/authority.ts";
import { describeUnless, missing } from "../../../support/missing.ts";
import {
  ASSET,
  problem,
  removeTemporaryDirectories,
  SETTINGS,
  startEdge,
  TENANT,
  type TestEdge,
  TOKEN,
  temporaryDirectory,
} from "../report/send-edge.ts";

/**
 * Test timeout in milliseconds. The tests run real processes, and other suites can use the machine at the
 * same time.
 */
setDefaultTimeout(60_000);

const MAIN = new URL("../../../../agent/main.ts", import.meta.url).pathname;
const BOARD = { id: "A".repeat(43), strength: "board" } as const;
const PASSWORD = "s3cret-of-the-proxy";

async function call(args: readonly string[], env: Record<string, string> = {}) {
  const child = Bun.spawn([process.execPath, MAIN, ...args], {
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: process.env.PATH ?? "", HOME: "/nonexistent", ...env },
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  for (const secret of [PASSWORD, btoa(`ada:${PASSWORD}`)]) expect(stdout + stderr).not.toContain(secret);
  return { code, stdout, stderr };
}

/** Runs `lz-agent doctor` and returns the results by check name. Also verifies the exit code. */
async function examine(args: readonly string[], env?: Record<string, string>) {
  const { code, stdout, stderr } = await call(["doctor", "--json", ...args], env);
  expect(stderr).toBe("");
  const { ok, checks } = JSON.parse(stdout) as { ok: boolean; checks: Check[] };
  expect(code).toBe(ok ? 0 : 1);
  expect(ok).toBe(checks.every(({ status }) => status !== "failed"));
  return Object.fromEntries(checks.map((check) => [check.name, check]));
}
const failedOnes = (checks: Record<string, Check>): string[] =>
  Object.values(checks)
    .filter(({ status }) => status === "failed")
    .map(({ name }) => name);
const failure = (detail: string, cure: string) => ({
  status: "failed",
  detail: expect.stringContaining(detail),
  cure: expect.stringContaining(cure),
});

let edge: TestEdge;
let state: string;
beforeAll(async () => {
  edge = await startEdge();
  state = join(temporaryDirectory(), "state");
});
afterEach(() => {
  edge.fault = undefined;
});
afterAll(async () => {
  await edge?.stop();
  removeTemporaryDirectories();
});

describe("doctor on the host", () => {
  test("prints each failure with its fix, and creates no state directory", async () => {
    const { code, stdout } = await call(["doctor", "--state", state]);
    expect(code).toBe(1);
    expect(stdout).toContain("FAILED  enrolment        this host is not enrolled");
    expect(stdout).toContain("fix: run lz-agent enroll --url URL --token-file FILE");
    expect(stdout).toContain("fix: give --url URL, or set url in the configuration file");
    expect(stdout).toEndWith("2 of 4 checks failed\n");
    expect(readdirSync(join(state, ".."))).toEqual([]);
  });

  test("with --url, checks before enrolment whether this host could enrol", async () => {
    const checks = await examine(["--state", state, "--url", edge.url]);
    expect(failedOnes(checks)).toEqual([]);
    expect(checks["control plane"]).toMatchObject({ status: "ok", detail: `${edge.url} responds` });
    expect(checks.clock).toMatchObject({ status: "ok" });
    expect(edge.asked).not.toContain("/v1/enroll");
  });

  test("reports invalid settings as a failure with the fix", async () => {
    const pac = await examine(["--state", state, "--proxy", `http://ada:${PASSWORD}@wpad.example/proxy.pac`]);
    expect(pac.configuration).toMatchObject(
      failure("--proxy is a PAC file", "set proxy to the address of the proxy itself"),
    );
    const file = join(state, "none.pem");
    const ca = await examine(["--state", state, "--url", edge.url, "--ca-file", file]);
    expect(ca.configuration).toMatchObject(
      failure(`ca-file ${file} does not exist`, "put your organisation's CA certificate there in PEM form"),
    );
    const http = await examine(["--state", state, "--url", "http://lz.example.com"]);
    expect(http.configuration).toMatchObject(failure("--url must use https", "correct url"));
    const socks = await examine(["--state", state, "--url", edge.url], {
      HTTP_PROXY: `socks5://ada:${PASSWORD}@127.0.0.1:1`,
    });
    expect(socks.configuration).toMatchObject(failure("HTTP_PROXY must be", "correct"));
  });

  test("fails for a state directory that other users can write or that is a file", async () => {
    const open = join(temporaryDirectory(), "open");
    mkdirSync(open);
    chmodSync(open, 0o777);
    const checks = await examine(["--state", open, "--url", edge.url]);
    expect(checks["state directory"]).toMatchObject(
      failure("is writable by others", `run chmod 700 ${open}`),
    );
    const file = join(temporaryDirectory(), "file");
    writeFileSync(file, "");
    const none = await examine(["--state", file, "--url", edge.url]);
    expect(none["state directory"]).toMatchObject(
      failure("cannot be written (ENOTDIR)", "remove the file or directory that has this name"),
    );
  });

  test("reports a revoked host, a daemon that is not running, and a damaged identity", async () => {
    const enrolled = await call([
      "enroll",
      "--url",
      edge.url,
      "--token",
      TOKEN,
      "--employee",
      "ada",
      "--state",
      state,
    ]);
    expect(enrolled.code).toBe(0);
    const checks = await examine(["--state", state]);
    expect(checks.enrolment).toMatchObject({ status: "ok", detail: `${ASSET} of ${TENANT} at ${edge.url}` });
    expect(checks.session).toMatchObject({ status: "ok" });
    expect(checks.settings).toMatchObject({ status: "ok" });
    expect(failedOnes(checks)).toEqual(["service"]);
    expect(checks.session!.detail).toBe(`the control plane knows ${ASSET}`);
    edge.isOlder = true;
    const identity = loadIdentity(state)!;
    const asked = { identity, directory: state, platform: process.platform, fetch, hardware: BOARD };
    const clocks = { clock: Date.now, elapsed: () => performance.now() };
    const [session] = await checkSession({ ...asked, ...clocks }, new AbortController().signal);
    expect(session).toMatchObject({
      status: "ok",
      detail: `the control plane knows ${ASSET}; the edge is older than this agent: update the edge`,
    });
    edge.isOlder = false;
    const { signedSettings } = edge;
    edge.signedSettings = `${signedSettings!.slice(0, -4)}AAAA`;
    expect((await examine(["--state", state])).settings).toMatchObject(
      failure("no pinned control key signed them for this tenant", "lz table sign"),
    );
    edge.signedSettings = undefined;
    expect((await examine(["--state", state])).settings).toMatchObject({ status: "skipped" });
    const next = await makeSigningKey("control-2");
    const newer = { tenant: TENANT, version: Date.now(), ...SETTINGS };
    edge.signedSettings = await signAgentSettings(next.key, newer);
    edge.keySet = await signKeySet(edge.control, next.jwks as PinnedKeys, Math.floor(Date.now() / 1000));
    expect((await examine(["--state", state])).settings).toMatchObject({ status: "ok" });
    edge.keySet = undefined;
    edge.signedSettings = signedSettings;
    const said = (await call(["status", "--state", state])).stdout;
    expect(said).toContain("settings     heartbeat every 1 s, working directories not reported; signed 20");
    writeStatus(state, {
      ...{ writtenAt: "2026-11-22T00:00:00.000Z", version: "0.1.0", connection: "online" },
      ...{ engines: 0, dropped: 0, settingsRefused: "they are older than those in use" },
      containment: uncontained("2026-11-22T00:00:00.000Z"),
    });
    const refused = (await call(["status", "--state", state])).stdout;
    expect(refused).toContain("; newer settings were rejected: they are older than those in use");
    expect(checks.service).toMatchObject(
      failure("the daemon is not running", "run lz-agent service install"),
    );
    edge.fault = (path) => (path === "/v1/session" ? problem("asset.revoked") : undefined);
    expect((await examine(["--state", state])).session).toMatchObject(
      failure("(asset.revoked)", "lz-agent enroll --force"),
    );
    edge.fault = undefined;
    writeFileSync(join(state, "identity.json"), "{");
    const damaged = await examine(["--state", state]);
    expect(damaged.enrolment).toMatchObject(failure("identity.json is damaged", "restore it from a backup"));
  });

  test("fails if another server responds at the control plane's address", async () => {
    edge.fault = (path) => (path === "/healthz" ? new Response("<h1>Sign in</h1>") : undefined);
    const checks = await examine(["--state", join(state, "new"), "--url", edge.url]);
    expect(checks["control plane"]).toMatchObject(
      failure("HTTP 200 from a server that is not a LifecycleZero control plane", "captive portal"),
    );
  });

  test("fails for a name without an address and for a closed port", async () => {
    const nameless = await examine(["--state", join(state, "new"), "--url", "https://lz.invalid"]);
    expect(nameless["name resolution"]).toMatchObject(
      failure("the control plane's name lz.invalid has no address", "set proxy"),
    );
    const port = await freePort();
    const closed = await examine(["--state", join(state, "new"), "--url", `https://127.0.0.1:${port}`]);
    expect(closed.connection).toMatchObject(
      failure(
        `127.0.0.1:${port} cannot be reached (ECONNREFUSED)`,
        `allow this host to connect to 127.0.0.1:${port}`,
      ),
    );
  });
});

test("checkService() compares the proxy of a daemon that is away with its own", async () => {
  const directory = temporaryDirectory();
  const birthOf = (pid: number) => processBirth(pid, process.platform);
  const lock = await acquireLock(directory, { pid: process.pid, birthOf, sleep: () => Promise.resolve() });
  expect(lock.ok).toBe(true);
  const status = (more: Partial<DaemonStatus>): void => {
    const writtenAt = timestamp(Date.now());
    const containment = uncontained(writtenAt);
    writeStatus(directory, {
      writtenAt,
      version: "0.1.0",
      connection: "away",
      reason: "no answer within 10 s",
      engines: 0,
      dropped: 0,
      containment,
      ...more,
    });
  };
  const check = (proxy: string) => checkService(directory, "linux", true, proxy);
  status({ proxy: "none" });
  expect(check("proxy.example.com:3128")).toMatchObject(
    failure("its proxy is none, the proxy of this call is proxy.example.com:3128", "restart the service"),
  );
  expect(check("none")).toMatchObject(failure("is away: no answer within 10 s", "restart the service"));
  status({ connection: "revoked" });
  expect(check("none")).toMatchObject(failure("is revoked", "lz-agent enroll --force"));
  status({ connection: "online" });
  expect(check("none")).toMatchObject({ status: "ok" });
  if (lock.ok) lock.release();
  expect(check("none")).toMatchObject(failure("the daemon is not running", "journalctl -u lz-agent"));
});

test.each<[number, NodeJS.Platform, "ok" | "failed", string]>([
  [300_000, "linux", "ok", "300 s ahead of the control plane"],
  [-300_000, "linux", "ok", "300 s behind the control plane"],
  [301_000, "linux", "failed", "timedatectl set-ntp true"],
  [-301_000, "win32", "failed", "w32tm /resync"],
  [301_000, "darwin", "failed", "systemsetup"],
])("checkClock() with a difference of %d ms on %s is %s", (skewMs, platform, status, said) => {
  const check = checkClock(1_000_000_000_000, 1_000_000_000_000 + skewMs, platform);
  expect(check.status).toBe(status);
  expect(JSON.stringify(check)).toContain(said);
});

test("checkClock() is skipped if the time of the control plane is unknown", () => {
  expect(checkClock(undefined, 0, "linux").status).toBe("skipped");
});

describeUnless(missing(...TOOLS), "doctor behind a proxy, with a private CA", () => {
  let directory: string;
  let ca: PrivateCa;
  let proxy: ForwardProxy;
  let closedPort: number;
  const fronts: Record<string, ReturnType<typeof startTlsFront>> = {};

  beforeAll(async () => {
    directory = temporaryDirectory();
    ca = createPrivateCa(join(directory, "ca"));
    const certificates: Record<string, Certificate> = {
      good: ca.issue("DNS:localhost"),
      "wrong host": ca.issue("DNS:other.example"),
      expired: ca.issue("DNS:localhost", { from: -30, to: -1 }),
      early: ca.issue("DNS:localhost", { from: 2, to: 30 }),
      "self-signed": ca.selfSigned("DNS:localhost"),
    };
    for (const [name, certificate] of Object.entries(certificates))
      fronts[name] = startTlsFront(certificate, edge.url);
    fronts.ahead = startTlsFront(certificates.good!, edge.url, 600_000);
    fronts.closedToProxy = startTlsFront(certificates.good!, edge.url);
    closedPort = await freePort();
    const { closedToProxy, ...allowed } = fronts;
    const ports = [...Object.values(allowed).map(({ port }) => port), closedPort, edge.port];
    proxy = await startForwardProxy(join(directory, "proxy"), { user: "ada", password: PASSWORD, ports });
  });
  afterAll(async () => {
    await proxy?.stop();
    for (const front of Object.values(fronts)) await front.stop();
  });

  const proxyUrl = (credentials = `ada:${PASSWORD}@`): string =>
    `http://${credentials}127.0.0.1:${proxy.port}`;
  const through = (port: number, more: readonly string[] = ["--ca-file", ca.path], to = proxyUrl()) =>
    examine([
      "--state",
      join(directory, "new"),
      "--url",
      `https://localhost:${port}`,
      "--proxy",
      to,
      ...more,
    ]);

  test("succeeds through the proxy with the CA file", async () => {
    const checks = await through(fronts.good!.port);
    expect(failedOnes(checks)).toEqual([]);
    expect(checks.proxy).toMatchObject({
      status: "ok",
      detail: `127.0.0.1:${proxy.port} opens a tunnel to localhost:${fronts.good!.port}`,
    });
    expect(checks.tls).toMatchObject({ detail: expect.stringContaining('"Example Corp Root"') });
    expect(checks["control plane"]).toMatchObject({ status: "ok" });
  });

  test("checks the certificate of a proxy over TLS, and sends requests through it", async () => {
    const ports = [fronts.good!.port];
    const inner = await startForwardProxy(join(directory, "inner"), {
      user: "ada",
      password: PASSWORD,
      ports,
    });
    const front = startTlsRelay(ca.issue("DNS:localhost"), inner.port);
    try {
      const to = `https://ada:${PASSWORD}@localhost:${await front.port}`;
      const checks = await through(fronts.good!.port, ["--ca-file", ca.path], to);
      expect(failedOnes(checks)).toEqual([]);
      expect(inner.tunnels()).toEqual([`localhost:${fronts.good!.port}`]);
      const untrusted = await through(fronts.good!.port, [], to);
      expect(untrusted.tls).toMatchObject(failure('issued by "Example Corp Root"', "set ca-file to it"));
    } finally {
      front.stop();
      await inner.stop();
    }
  });

  test("shows the fix for each proxy failure", async () => {
    const { port } = fronts.good!;
    const nobody = await through(port, ["--ca-file", ca.path], proxyUrl(""));
    expect(nobody.proxy).toMatchObject(failure("(HTTP 407)", "set proxy with a user and a password"));
    const wrong = await through(port, ["--ca-file", ca.path], proxyUrl("ada:wrong@"));
    expect(wrong.proxy).toMatchObject(failure("(HTTP 401)", "check the user and the password in proxy"));
    const forbidden = await through(fronts.closedToProxy!.port);
    const denied = `localhost:${fronts.closedToProxy!.port}`;
    expect(forbidden.proxy).toMatchObject(failure("(HTTP 403)", `allow CONNECT to ${denied} at the proxy`));
    const beyond = await through(closedPort);
    expect(beyond.proxy).toMatchObject(
      failure("(HTTP 500)", `the proxy cannot reach localhost:${closedPort}`),
    );
    const away = await through(port, [], "http://127.0.0.1:1");
    expect(away.proxy).toMatchObject(
      failure("the proxy 127.0.0.1:1 cannot be reached (ECONNREFUSED)", "in proxy"),
    );
    const nameless = await through(port, [], "http://proxy.invalid:3128");
    expect(nameless["name resolution"]).toMatchObject(
      failure("the proxy's name proxy.invalid", "check the proxy setting"),
    );
    const noProxy = await through(port, [], `http://127.0.0.1:${edge.port}`);
    expect(noProxy.proxy).toMatchObject({ status: "failed" });
  });

  test("shows the fix for each TLS failure", async () => {
    const tls = async (name: string, more?: readonly string[]) =>
      (await through(fronts[name]!.port, more)).tls;
    expect(await tls("good", [])).toMatchObject(
      failure('issued by "Example Corp Root", a CA that this host does not trust', "set ca-file to it"),
    );
    const other = createPrivateCa(join(directory, "other"));
    expect(await tls("good", ["--ca-file", other.path])).toMatchObject(
      failure(
        "a CA that this host does not trust",
        `add the certificate of this CA, as PEM, to ${other.path}`,
      ),
    );
    expect(await tls("wrong host")).toMatchObject(
      failure(
        "the certificate is not valid for localhost; its names are DNS:other.example",
        "use a name of the certificate",
      ),
    );
    expect(await tls("expired")).toMatchObject(
      failure("the certificate expired on", "renew the certificate"),
    );
    expect(await tls("early")).toMatchObject(
      failure("the certificate is not valid before", "correct this host's clock"),
    );
    expect(await tls("self-signed")).toMatchObject(
      failure("the certificate is self-signed", "set ca-file to it"),
    );
    const plain = await through(edge.port);
    expect(plain.tls).toMatchObject(
      failure("did not complete a TLS handshake", "uses https and the right port"),
    );
  });

  test("reports a wrong clock, even if it also makes the certificate invalid", async () => {
    const ahead = await through(fronts.ahead!.port);
    expect(failedOnes(ahead)).toEqual(["clock"]);
    expect(ahead.clock).toMatchObject(failure("s behind the control plane", "time"));
    const both = await through(fronts.ahead!.port, []);
    expect(failedOnes(both)).toEqual(["tls", "control plane", "clock"]);
  });
});
