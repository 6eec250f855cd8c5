import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { COMMANDS } from "../../../../agent/cli/commands.ts";
import { resolveSettings, VARIABLES } from "../../../../agent/daemon/settings.ts";
import { configFile, type Host } from "../../../../agent/platform/agent-version.ts";
import { removeTemporaryDirectories, temporaryDirectory } from "../report/send-edge.ts";

let home: string;
let file: string;
beforeEach(() => {
  home = temporaryDirectory();
  file = join(home, ".config", "lifecyclezero", "agent.json");
  mkdirSync(join(home, ".config", "lifecyclezero"), { recursive: true });
});
afterEach(removeTemporaryDirectories);

const host = (env: Record<string, string> = {}): Host => ({ platform: "linux", env, isRoot: false, home });
const ALL = Object.keys(VARIABLES);
const resolve = (flags: Record<string, unknown> = {}, env = {}, wanted: readonly string[] = ALL) =>
  resolveSettings(host(env), flags, wanted);
const write = (content: unknown, path = file): void =>
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content), { mode: 0o600 });

const settingsOf = (...asked: Parameters<typeof resolve>) => {
  const resolved = resolve(...asked);
  if (!resolved.ok) throw new Error(resolved.reason);
  return resolved.settings;
};
const reasonOf = (...asked: Parameters<typeof resolve>): string => {
  const resolved = resolve(...asked);
  if (resolved.ok) throw new Error("accepted");
  expect(resolved.reason).not.toContain("\n");
  return resolved.reason;
};

describe("configFile()", () => {
  test.each([
    [{ isRoot: true }, "/etc/lifecyclezero/agent.json"],
    [{}, "/home/ada/.config/lifecyclezero/agent.json"],
    [{ env: { XDG_CONFIG_HOME: "/x" } }, "/x/lifecyclezero/agent.json"],
    [{ env: { XDG_CONFIG_HOME: "x" } }, "/home/ada/.config/lifecyclezero/agent.json"],
    [{ platform: "darwin" as const, isRoot: true }, "/Library/Application Support/LifecycleZero/agent.json"],
    [
      { platform: "darwin" as const, home: "/Users/ada" },
      "/Users/ada/Library/Application Support/LifecycleZero/agent.json",
    ],
    [{ platform: "win32" as const, env: { ProgramData: "D:\\Data" } }, "D:\\Data\\LifecycleZero\\agent.json"],
    [{ platform: "win32" as const }, "C:\\ProgramData\\LifecycleZero\\agent.json"],
  ])("with %j returns %s", (given: Partial<Host>, expected) => {
    expect(configFile({ platform: "linux", env: {}, isRoot: false, home: "/home/ada", ...given })).toBe(
      expected,
    );
  });
});

describe("resolveSettings()", () => {
  test("returns the defaults without any settings, and the path of the configuration file", () => {
    expect(settingsOf()).toEqual({
      state: join(home, ".local/state/lifecyclezero"),
      log: undefined,
      logFile: undefined,
      verbose: false,
      intervalMs: undefined,
      url: undefined,
      employee: undefined,
      allowHttp: false,
      network: { proxy: undefined, noProxy: undefined, caFile: undefined },
      ofThisCall: [],
      config: { path: file, isUsed: false },
    });
  });

  const FULL = {
    state: "/srv/file",
    log: "json",
    "log-file": "/srv/file.log",
    verbose: true,
    interval: 1000,
    url: "https://file.example",
    employee: "file",
    "allow-http": true,
    proxy: "http://file.example:3128",
    "no-proxy": "file.example",
    "ca-file": "/srv/file.pem",
  };
  test("accepts every setting from the file", () => {
    write(FULL);
    expect(settingsOf()).toEqual({
      state: "/srv/file",
      log: "json",
      logFile: "/srv/file.log",
      verbose: true,
      intervalMs: 1000,
      url: "https://file.example",
      employee: "file",
      allowHttp: true,
      network: { proxy: "http://file.example:3128", noProxy: "file.example", caFile: "/srv/file.pem" },
      ofThisCall: [],
      config: { path: file, isUsed: true },
    });
  });

  test("prefers flags to environment variables, variables to the file, and the file to the defaults", () => {
    write(FULL);
    const env = {
      LZ_STATE_DIR: "/srv/env",
      LZ_LOG: "text",
      LZ_LOG_FILE: "/srv/env.log",
      LZ_VERBOSE: "false",
      LZ_INTERVAL: "2000",
      LZ_URL: "https://env.example",
      LZ_EMPLOYEE: "env",
      LZ_ALLOW_HTTP: "0",
      LZ_PROXY: "env.example:3128",
      LZ_NO_PROXY: "env.example",
      LZ_CA_FILE: "/srv/env.pem",
    };
    const ofEnvironment = {
      state: "/srv/env",
      log: "text",
      logFile: "/srv/env.log",
      verbose: false,
      intervalMs: 2000,
      url: "https://env.example",
      employee: "env",
      allowHttp: false,
      network: { proxy: "env.example:3128", noProxy: "env.example", caFile: "/srv/env.pem" },
    } as const;
    expect(settingsOf({}, env)).toMatchObject(ofEnvironment);
    const flags = {
      state: "/srv/flag",
      log: "json",
      "log-file": "/srv/flag.log",
      verbose: true,
      interval: "3000",
      url: "https://flag.example",
      employee: "flag",
      "allow-http": true,
      proxy: "none",
      "no-proxy": "flag.example",
      "ca-file": "/srv/flag.pem",
    };
    expect(settingsOf(flags, env)).toMatchObject({
      state: "/srv/flag",
      log: "json",
      logFile: "/srv/flag.log",
      verbose: true,
      intervalMs: 3000,
      url: "https://flag.example",
      employee: "flag",
      allowHttp: true,
      network: { proxy: "none", noProxy: "flag.example", caFile: "/srv/flag.pem" },
    });
    // A valid setting from one source does not hide errors in another source.
    expect(settingsOf({ log: "json" }, { LZ_LOG: "text", LZ_EMPLOYEE: "env" })).toMatchObject({
      log: "json",
      employee: "env",
      state: "/srv/file",
    });
  });

  test("names every invalid setting of all three sources in one line", () => {
    write({ log: "xml", interval: 99, employee: "#", colour: "red", state: 7 });
    const reason = reasonOf({ interval: "5s" }, { LZ_LOG: "yaml", LZ_VERBOSE: "yes" });
    for (const said of [
      `log in ${file} must be text or json`,
      `interval in ${file} must be a whole number of milliseconds, 100 to 3600000`,
      `employee in ${file} must be 1 to 128 letters`,
      `state in ${file} must be the path of a directory`,
      `colour in ${file} is unknown`,
      "LZ_LOG must be text or json",
      "LZ_VERBOSE must be true or false",
      "--interval must be a whole number",
    ])
      expect(reason).toContain(said);
    expect(reason.split("; ")).toHaveLength(8);
  });

  test.each([
    ["an unknown key", { interva1: 1000 }, /interva1 in .* is unknown/],
    ["a secret", { token: "s3cr3t-value" }, /token in .* is not allowed: do not put secrets in this file/],
    ["an interval that is text", { interval: "1000" }, /interval in .* must be a whole number/],
    ["an interval above the limit", { interval: 3_600_001 }, /interval in/],
    ["a relative path", { state: "state" }, /state in .* must be an absolute path/],
    ["a url with a path", { url: "https://lz.example.com/x" }, /url in .* must be an origin/],
    ["a list", [], /must contain one JSON object/],
    ["null", null, /must contain one JSON object/],
    ["something else", "log: json # s3cr3t-value", /must contain one JSON object/],
    ["nothing", "", /must contain one JSON object/],
    ["a prototype", '{"__proto__": {"log": "json"}}', /__proto__ in .* is unknown/],
    ["too much", " ".repeat(65_537), /is larger than 65536 bytes/],
    ["a line of its own", { "a\nb": 1 }, /is unknown/],
  ])("refuses a file with %s and quotes no value of that file", (_, content, reason) => {
    write(content as object | string);
    expect(reasonOf()).toMatch(reason);
    expect(reasonOf()).not.toContain("s3cr3t-value");
  });

  test("accepts noProxy and caFile in the file, but not two spellings of one setting", () => {
    write({ noProxy: "a.example", caFile: "/srv/ca.pem" });
    expect(settingsOf().network).toMatchObject({ noProxy: "a.example", caFile: "/srv/ca.pem" });
    write({ noProxy: "a.example", "no-proxy": "b.example" });
    expect(reasonOf()).toMatch(/noProxy in .* is unknown/);
    write({ caFile: "ca.pem" });
    expect(reasonOf()).toMatch(/ca-file in .* must be an absolute path/);
  });

  test("names the source of an invalid proxy and the fix for a PAC file, and shows no password", () => {
    write({ proxy: "http://ada:s3cr3t@wpad.example/proxy.pac" });
    const reason = reasonOf({ proxy: "socks5://ada:s3cr3t@h:1" }, { LZ_PROXY: "pac+http://ada:s3cr3t@h/x" });
    expect(reason).toContain(`proxy in ${file} is a PAC file`);
    expect(reason).toContain("LZ_PROXY is a PAC file");
    expect(reason).toContain(
      "set proxy to the address of the proxy itself, such as http://proxy.example.com:3128",
    );
    expect(reason).toContain("--proxy must be the address of an http or https proxy");
    expect(reason).not.toContain("s3cr3t");
    expect(reason).not.toContain("ada");
  });

  test("refuses a file with proxy credentials that other users can read", () => {
    write({ proxy: "http://ada:s3cr3t@proxy.example:3128" });
    expect(settingsOf().network.proxy).toBe("http://ada:s3cr3t@proxy.example:3128");
    chmodSync(file, 0o644);
    expect(reasonOf()).toBe(
      `${file} contains the credentials of a proxy and can be read by others: run chmod 600 on it`,
    );
    write({ proxy: "http://proxy.example:3128" });
    expect(settingsOf().network.proxy).toBe("http://proxy.example:3128");
  });

  test("accepts an interval at its limits", () => {
    for (const interval of [100, 3_600_000]) {
      write({ interval });
      expect(settingsOf().intervalMs).toBe(interval);
    }
  });

  test("accepts a file that starts with a byte order mark", () => {
    write('\ufeff{"log": "json"}');
    expect(settingsOf().log).toBe("json");
  });

  test("reads the file named by a flag or else by a variable, and fails if that file does not exist", () => {
    const [flag, env] = [join(home, "flag.json"), join(home, "env.json")];
    write({ employee: "default" });
    write({ employee: "flag" }, flag);
    write({ employee: "env" }, env);
    expect(settingsOf({}, { LZ_CONFIG: env }).employee).toBe("env");
    expect(settingsOf({ config: flag }, { LZ_CONFIG: env })).toMatchObject({
      employee: "flag",
      config: { path: flag, isUsed: true },
    });
    expect(reasonOf({ config: join(home, "none.json") })).toBe(`cannot read ${home}/none.json (ENOENT)`);
    expect(reasonOf({ config: home })).toContain(`cannot read ${home} (EISDIR)`);
  });

  test("refuses a file that other users can write, and accepts a file that they can read", () => {
    write({ employee: "ada" });
    for (const mode of [0o620, 0o602, 0o666]) {
      chmodSync(file, mode);
      expect(reasonOf()).toBe(`${file} is writable by others: run chmod go-w on it`);
    }
    chmodSync(file, 0o644);
    expect(settingsOf().employee).toBe("ada");
  });

  test("ignores an invalid variable that the command does not use, but checks the whole file", () => {
    const wanted = Object.keys(COMMANDS.scan.options);
    expect(settingsOf({}, { LZ_INTERVAL: "never", LZ_URL: "?" }, wanted).intervalMs).toBeUndefined();
    write({ interval: "never" });
    expect(reasonOf({}, {}, wanted)).toContain("interval in");
  });

  test("makes a relative directory absolute, because a service starts in another directory", () => {
    expect(settingsOf({ state: "here" }).state).toBe(join(process.cwd(), "here"));
  });

  test("ignores an empty variable", () => {
    expect(settingsOf({}, { LZ_LOG: "", LZ_STATE_DIR: "", LZ_CONFIG: "" }).log).toBeUndefined();
  });
});
