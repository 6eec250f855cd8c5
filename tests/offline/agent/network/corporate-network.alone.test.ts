import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  createPrivateCa,
  type ForwardProxy,
  filesBelow,
  type PrivateCa,
  startForwardProxy,
  startTlsFront,
  TOOLS,
} from "../../../support/agent/corporate-network.ts";
import { describeUnless, missing } from "../../../support/missing.ts";
import {
  removeTemporaryDirectories,
  startEdge,
  type TestEdge,
  TOKEN,
  temporaryDirectory,
  until,
} from "../report/send-edge.ts";

/**
 * Test timeout in milliseconds. The tests run real processes, and other suites can use the machine at the
 * same time.
 */
setDefaultTimeout(60_000);

const MAIN = new URL("../../../../agent/main.ts", import.meta.url).pathname;
const PASSWORD = "s3cret-of-the-proxy";

describeUnless(missing(...TOOLS), "behind a proxy, with a private CA", () => {
  let directory: string;
  let edge: TestEdge;
  let ca: PrivateCa;
  let front: ReturnType<typeof startTlsFront>;
  let proxy: ForwardProxy;
  let url: string;

  beforeAll(async () => {
    directory = temporaryDirectory();
    edge = await startEdge();
    ca = createPrivateCa(join(directory, "ca"));
    front = startTlsFront(ca.issue("DNS:localhost"), edge.url);
    proxy = await startForwardProxy(join(directory, "proxy"), {
      user: "ada",
      password: PASSWORD,
      ports: [front.port],
    });
    url = `https://localhost:${front.port}`;
  });
  afterAll(async () => {
    await proxy?.stop();
    await front?.stop();
    await edge?.stop();
    removeTemporaryDirectories();
  });

  const spawn = (args: readonly string[], env: Record<string, string> = {}) =>
    Bun.spawn([process.execPath, MAIN, ...args], {
      stdout: "pipe",
      stderr: "pipe",
      env: { PATH: process.env.PATH ?? "", HOME: "/nonexistent", ...env },
    });
  async function call(args: readonly string[], env?: Record<string, string>) {
    const child = spawn(args, env);
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, stdout, stderr };
  }
  const proxyUrl = (password = PASSWORD): string => `http://ada:${password}@127.0.0.1:${proxy.port}`;
  function configuration(name: string, more: object): string {
    const path = join(directory, `${name}.json`);
    writeFileSync(path, JSON.stringify({ url, employee: "ada", ...more }), { mode: 0o600 });
    return path;
  }

  test("enrolment, session, heartbeats and directive poll use the proxy, and no password is written anywhere", async () => {
    const config = configuration("agent", { proxy: proxyUrl(), caFile: ca.path });
    const state = join(directory, "state");
    const enrolled = await call(["enroll", "--config", config, "--state", state, "--token", TOKEN]);
    expect([enrolled.code, enrolled.stderr]).toEqual([0, ""]);
    expect(enrolled.stdout).not.toContain("service install");
    expect(proxy.tunnels()).toEqual([`localhost:${front.port}`]);
    edge.onPoll = async () => {
      await Bun.sleep(50); // Time that the edge keeps a long poll open.
      return new Response(null, { status: 204 });
    };
    const words = ["--config", config, "--state", state];
    const daemon = spawn(["run", ...words, "--interval", "100", "--verbose", "--log", "json"]);
    const said = new Response(daemon.stderr).text();
    await until("heartbeats and polls arrive", () => edge.taken.length >= 3 && edge.polls.length >= 2);
    const status = await call(["status", "--json", ...words]);
    const examined = await call(["doctor", "--json", ...words]);
    const explained = await call(["explain", "--json", ...words]);
    daemon.kill("SIGTERM");
    const log = await said;
    // The edge also receives probes on other paths, because the agent scans this host.
    for (const path of ["/v1/enroll", "/v1/session", "/v1/heartbeats", "/v1/directive", "/v1/catalog"])
      expect(edge.asked).toContain(path);
    // Enrolment uses one tunnel. Heartbeats use a second tunnel, and the long poll uses a third.
    expect(proxy.tunnels().length).toBeGreaterThanOrEqual(3);
    expect(JSON.parse(status.stdout).daemon.proxy).toBe(`127.0.0.1:${proxy.port}`);
    expect(JSON.parse(log.split("\n")[0]!)).toMatchObject({
      event: "agent.started",
      proxy: `127.0.0.1:${proxy.port}`,
      caFile: ca.path,
    });
    expect([examined.code, JSON.parse(examined.stdout).ok]).toEqual([0, true]);
    for (const name of ["enrolment", "proxy", "tls", "session", "service"])
      expect(JSON.parse(examined.stdout).checks).toContainEqual(
        expect.objectContaining({ name, status: "ok" }),
      );
    const written = [
      enrolled.stdout,
      log,
      status.stdout,
      explained.stdout,
      examined.stdout,
      filesBelow(state),
    ].join("\n");
    for (const secret of [PASSWORD, btoa(`ada:${PASSWORD}`)]) expect(written).not.toContain(secret);
  });

  test("flags and variables have the same effect as the file, and exemptions and `none` lead to direct connections", async () => {
    const enroll = (args: string[], env = {}) =>
      call(
        [
          "enroll",
          "--url",
          url,
          "--token",
          TOKEN,
          "--employee",
          "ada",
          "--state",
          join(temporaryDirectory(), "s"),
          ...args,
        ],
        env,
      );
    const before = proxy.tunnels().length;
    expect(await enroll(["--proxy", proxyUrl(), "--ca-file", ca.path])).toMatchObject({ code: 0 });
    const variables = await enroll([], { HTTPS_PROXY: proxyUrl(), LZ_CA_FILE: ca.path });
    expect([variables.code, variables.stdout]).toEqual([
      0,
      expect.stringContaining("pass them to lz-agent service install"),
    ]);
    expect(await enroll([], { LZ_PROXY: proxyUrl(), LZ_CA_FILE: ca.path })).toMatchObject({ code: 0 });
    expect(proxy.tunnels().length).toBe(before + 3);
    const exempt = await enroll(["--no-proxy", "localhost", "--ca-file", ca.path], {
      HTTPS_PROXY: proxyUrl(),
    });
    const none = await enroll(["--proxy", "none", "--ca-file", ca.path], { HTTPS_PROXY: proxyUrl() });
    expect([exempt.code, none.code]).toEqual([0, 0]);
    expect(proxy.tunnels().length).toBe(before + 3);
  });

  test("without the CA file, or with a wrong password, enrolment names the reason and no password", async () => {
    const reasonOf = async (...args: string[]): Promise<string> => {
      const words = [
        "--url",
        url,
        "--token",
        TOKEN,
        "--employee",
        "ada",
        "--state",
        join(temporaryDirectory(), "s"),
      ];
      const child = spawn(["enroll", ...words, ...args]);
      let said = "";
      const reading = (async () => {
        for await (const chunk of child.stderr) said += new TextDecoder().decode(chunk);
      })();
      await until("the first failure is logged", () => said.includes("\n"));
      child.kill("SIGTERM");
      await reading;
      return said;
    };
    expect(await reasonOf("--proxy", proxyUrl())).toContain("unable to verify the first certificate");
    const refused = await reasonOf("--proxy", proxyUrl("wrong-password"), "--ca-file", ca.path);
    expect(refused).toContain(
      `the proxy 127.0.0.1:${proxy.port} refused the connection to the control plane: 401 Unauthorized`,
    );
    expect(refused).not.toContain("wrong-password");
    const away = await reasonOf("--proxy", "http://ada:wrong-password@127.0.0.1:1", "--ca-file", ca.path);
    expect(away).toContain("the proxy 127.0.0.1:1 cannot be reached (ECONNREFUSED)");
    expect(away).not.toContain("wrong-password");
  });

  test("service install writes the proxy and the CA file of its command to the unit, but never credentials", async () => {
    const print = (...args: string[]) =>
      call(["service", "install", "--print", "--state", join(directory, "state"), ...args]);
    const carried = await print(
      "--proxy",
      `http://127.0.0.1:${proxy.port}`,
      "--no-proxy",
      "a.example",
      "--ca-file",
      ca.path,
    );
    expect(carried.stdout).toContain(
      `--proxy http://127.0.0.1:${proxy.port} --no-proxy a.example --ca-file ${ca.path}`,
    );
    const plain = await print("--config", configuration("service", { proxy: proxyUrl(), caFile: ca.path }));
    expect(plain.stdout).toContain("service.json");
    expect(plain.stdout).not.toContain("--proxy");
    const environment = { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` };
    const words = ["service", "install", "--print", "--state", join(directory, "state")];
    expect((await call(words, environment)).stdout).toContain(`--proxy http://127.0.0.1:${proxy.port}`);
    for (const refused of [
      await print("--proxy", proxyUrl()),
      await call(words, { HTTPS_PROXY: proxyUrl() }),
    ]) {
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain("set proxy in the configuration file instead, with mode 600");
      expect(refused.stdout + refused.stderr).not.toContain(PASSWORD);
    }
    const missing = await print("--ca-file", join(directory, "none.pem"));
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining("none.pem does not exist")]);
  });

  test("the agent does not start with a CA file that is missing, empty, not PEM, damaged, writable by others or a key, and names the fix", async () => {
    const file = join(directory, "own.pem");
    const refusal = async (): Promise<string> => {
      const state = join(directory, "state-2");
      const words = ["--url", url, "--token", TOKEN, "--employee", "ada", "--state", state];
      const { code, stderr } = await call(["enroll", ...words, "--ca-file", file]);
      expect(code).toBe(1);
      return stderr;
    };
    const remedy = "put your organisation's CA certificate there in PEM form, or correct ca-file";
    expect(await refusal()).toBe(`lz-agent: enroll: ca-file ${file} does not exist: ${remedy}\n`);
    writeFileSync(file, "");
    expect(await refusal()).toContain(`ca-file ${file} is empty: ${remedy}`);
    writeFileSync(file, "\u0030\u0082 DER");
    expect(await refusal()).toContain(
      "contains no PEM certificate: if it is DER, convert it with `openssl x509",
    );
    writeFileSync(file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    expect(await refusal()).toContain("contains a damaged certificate (number 1): copy the file again");
    writeFileSync(file, readFileSync(join(directory, "ca", "ca.key")));
    expect(await refusal()).toContain(
      "contains a private key: remove the key, because this file is only for CA certificates",
    );
    writeFileSync(file, readFileSync(ca.path));
    chmodSync(file, 0o666);
    expect(await refusal()).toContain("is writable by others: run chmod go-w on it");
  });
});
