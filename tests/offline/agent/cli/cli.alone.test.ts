import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import ollama from "../../../../agent/catalogue/engines/ollama.ts";
import { homesInPasswd, homesOfPeople, loginInPasswd } from "../../../../agent/cli/accounts.ts";
import { parseArguments } from "../../../../agent/cli/arguments.ts";
import { COMMANDS } from "../../../../agent/cli/commands.ts";
import { readStatus } from "../../../../agent/daemon/status-file.ts";
import { loadIdentity } from "../../../../agent/identity/device-identity.ts";
import { AGENT_VERSION } from "../../../../agent/platform/agent-version.ts";
import { silent } from "../../../../agent/platform/log.ts";
import type { Explained } from "../../../../agent/report/explain.ts";
import { countWaiting, openSpool } from "../../../../agent/report/spool.ts";
import { type AgentSettings, signAgentSettings } from "../../../../shared/wire/agent-settings.ts";
import { signCatalogue } from "../../../../shared/wire/catalog.ts";
import { signDirective } from "../../../../shared/wire/directive.ts";
import { signKeySet } from "../../../../shared/wire/key-set.ts";
import type { ControlKey } from "../../../../shared/wire/sign-statement.ts";
import { describeUnless, missing, testUnless } from "../../../support/missing.ts";
import {
  ASSET,
  controlKeys,
  directiveClaims,
  removeTemporaryDirectories,
  SETTINGS,
  startEdge,
  TENANT,
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

type Child = {
  kill: (signal: NodeJS.Signals) => void;
  pid: number;
  stderr: () => string;
  done: Promise<Ended>;
};
type Ended = { code: number; stdout: string; stderr: string };

const children: Child[] = [];

function spawn(args: readonly string[], env: Record<string, string> = {}): Child {
  const child = Bun.spawn([process.execPath, MAIN, ...args], {
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: process.env.PATH ?? "", HOME: "/nonexistent", ...env },
  });
  let stderr = "";
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) stderr += decoder.decode(chunk, { stream: true });
  })();
  const done = Promise.all([new Response(child.stdout).text(), child.exited, reading]).then(
    ([stdout, code]) => ({
      code,
      stdout,
      stderr,
    }),
  );
  const started = {
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    pid: child.pid,
    stderr: () => stderr,
    done,
  };
  children.push(started);
  return started;
}

const call = (args: readonly string[], env?: Record<string, string>): Promise<Ended> => spawn(args, env).done;

let edge: TestEdge;
let state: string;

beforeEach(async () => {
  edge = await startEdge();
  state = join(temporaryDirectory(), "state");
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await edge.stop();
  removeTemporaryDirectories();
});

const enrollment = (): string[] => [
  "enroll",
  "--url",
  edge.url,
  "--token",
  TOKEN,
  "--employee",
  "ada",
  "--state",
  state,
];
const daemon = (): Child => spawn(["run", "--state", state, "--interval", "100"]);
const sequences = (): number[] => edge.taken.map(({ sequence }) => sequence);
const files = (): number[] =>
  readdirSync(join(state, "spool"))
    .filter((name) => name.endsWith(".json"))
    .map((name) => Number.parseInt(name, 10))
    .sort((a, b) => a - b);

describe("parseArguments()", () => {
  test.each([
    [[], /no command given; see lz-agent --help/],
    [["frobnicate"], /unknown command "frobnicate"/],
    [["toString"], /unknown command/],
    [["run", "--bogus"], /run: unknown option --bogus; see lz-agent run --help/],
    [["run", "extra"], /run: unexpected argument "extra"/],
    [["run", "--state"], /run: --state needs a value/],
    [["run", "--state="], /--state is empty/],
    [["scan", "--json=yes"], /scan: --json takes no value/],
    [["release"], /--code is missing/],
    [["enroll", "extra"], /unexpected argument "extra"/],
    [["service"], /give install or uninstall/],
    [["service", "start"], /unknown ACTION "start": give install or uninstall/],
    [["service", "install", "now"], /unexpected argument "now"/],
    [["--nope"], /unknown command "--nope"/],
  ] as [string[], RegExp][])("rejects %j with one line", (argv, reason) => {
    const parsed = parseArguments(argv);
    if (parsed.is !== "wrong") throw new Error("accepted");
    expect(parsed.reason).toMatch(reason);
    expect(parsed.reason).not.toContain("\n");
  });
  test.each(Object.keys(COMMANDS))("%s --help describes each of its options", (name) => {
    const parsed = parseArguments([name, "--help"]);
    if (parsed.is !== "text") throw new Error("no help");
    for (const option of Object.keys(COMMANDS[name as keyof typeof COMMANDS].options)) {
      expect(parsed.text).toContain(`--${option}`);
    }
  });
  test("prints the version and the help", () => {
    expect(parseArguments(["--version"])).toEqual({ is: "text", text: `lz-agent ${AGENT_VERSION}` });
    const help = parseArguments(["--help"]);
    if (help.is !== "text") throw new Error("no help");
    for (const name of Object.keys(COMMANDS)) expect(help.text).toContain(`\n  ${name} `);
  });
});

describe("homesOfPeople()", () => {
  const nobody = () => {
    throw Object.assign(new Error("no such file"), { code: "ENOENT" });
  };
  const lists =
    (directories: Record<string, string[]>) =>
    (path: string): string[] =>
      directories[path] ?? nobody();

  test("finds the homes of all users on Windows, even for a service whose own home is a system directory", () => {
    const service = {
      platform: "win32",
      env: { SystemDrive: "C:" },
      home: "C:\\Windows\\system32\\config\\systemprofile",
    } as const;
    const names = ["ada", "All Users", "Default", "Default User", "desktop.ini", "Eve Adams", "Public"];
    expect(homesOfPeople(service, { list: lists({ "C:\\Users": names }), text: nobody })).toEqual([
      service.home,
      "C:\\Users\\ada",
      "C:\\Users\\Eve Adams",
    ]);
    const moved = { ...service, env: { SystemDrive: "C:", PUBLIC: "D:\\Profiles\\Public" } };
    expect(homesOfPeople(moved, { list: lists({ "D:\\Profiles": ["ada"] }), text: nobody })).toEqual([
      service.home,
      "D:\\Profiles\\ada",
    ]);
  });

  test("finds the homes of directory-service users on Linux, who are not in /etc/passwd", () => {
    const machine = { platform: "linux", env: {}, home: "/root" } as const;
    const passwd = "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/srv/ada:/bin/sh\n";
    expect(homesOfPeople(machine, { list: lists({ "/home": ["eve"] }), text: () => passwd })).toEqual([
      "/root",
      "/srv/ada",
      "/home/eve",
    ]);
  });

  test("finds the homes of all users on macOS, and only its own home if nothing can be listed", () => {
    const machine = { platform: "darwin", env: {}, home: "/var/root" } as const;
    const names = [".localized", "Shared", "ada"];
    expect(homesOfPeople(machine, { list: lists({ "/Users": names }), text: nobody })).toEqual([
      "/var/root",
      "/Users/ada",
    ]);
    expect(homesOfPeople(machine, { list: nobody, text: nobody })).toEqual(["/var/root"]);
  });

  test("finds the homes of domain users on Linux in /home/DOMAIN/USER", () => {
    const machine = { platform: "linux", env: {}, home: "/root" } as const;
    const passwd = "root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000::/home/ada:/bin/bash\n";
    const all = lists({
      "/home": ["ada", "EXAMPLE.COM", "eve", "empty", "data"],
      "/home/EXAMPLE.COM": ["bob", "carol", "lost+found"],
      "/home/EXAMPLE.COM/bob": [".profile", "models"],
      // The agent does not treat shared directories and their subdirectories as home directories.
      "/home/data": ["llama.cpp"],
      "/home/data/llama.cpp": [".git", "build"],
      "/home/eve": [".profile", "models"],
      "/home/empty": [],
      "/home/ada": ["models"],
    });
    const homes = homesOfPeople(machine, { list: all, listHome: all, text: () => passwd });
    expect(homes.sort()).toEqual([
      "/home/EXAMPLE.COM",
      "/home/EXAMPLE.COM/bob",
      "/home/EXAMPLE.COM/carol",
      "/home/ada",
      "/home/data",
      "/home/empty",
      "/home/eve",
      "/root",
    ]);
  });
});

test("homesInPasswd() finds root and people, but no service accounts", () => {
  const passwd = [
    "root:x:0:0:root:/root:/bin/bash",
    "daemon:x:1:1::/usr/sbin:/usr/sbin/nologin",
    "ada:x:1000:1000:Ada:/home/ada:/bin/bash",
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin",
    "broken",
    "",
  ];
  expect(homesInPasswd(passwd.join("\n"))).toEqual(["/root", "/home/ada"]);
  expect(loginInPasswd(passwd.join("\n"), 1000)).toBe("ada");
  expect(loginInPasswd(passwd.join("\n"), 0)).toBe("root");
  expect(loginInPasswd(passwd.join("\n"), 100)).toBeUndefined();
});

const SCAN_KEYS = ["collectors", "durationMs", "engines", "missing", "status", "stores"];

describe("lz-agent", () => {
  test("wrong arguments: exits with 2 and prints one line to stderr and nothing to stdout", async () => {
    for (const args of [
      ["nope"],
      ["run", "--interval", "99"],
      ["run", "--interval", "5s"],
      ["run", "--log", "xml"],
    ]) {
      const { code, stdout, stderr } = await call(args);
      expect({ code, stdout, lines: stderr.trim().split("\n").length }).toEqual({
        code: 2,
        stdout: "",
        lines: 1,
      });
    }
  });

  test("run without enrolment: prints one clear line, exits with 1, and creates no directory", async () => {
    const { code, stderr } = await call(["run", "--state", state]);
    expect(code).toBe(1);
    expect(stderr).toBe(
      `lz-agent: this host is not enrolled (no identity in ${state}): run lz-agent enroll first\n`,
    );
    expect(() => readdirSync(state)).toThrow();
  });

  test("scan --json prints one object and needs no server and no state", async () => {
    const { code, stdout } = await call(["scan", "--json"]);
    const printed = JSON.parse(stdout);
    expect([code, printed.status]).toEqual(printed.missing.length === 0 ? [0, "complete"] : [4, "partial"]);
    expect(Object.keys(printed).sort()).toEqual(SCAN_KEYS);
    expect(stdout.trim().split("\n")).toHaveLength(1);
  });

  testUnless(
    missing("Linux", "root", "setpriv"),
    "scan: exits with 4 if it has no permission to read everything",
    async () => {
      const withoutRights = async (...flags: string[]) => {
        const drop = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"];
        const command = [...drop, process.execPath, MAIN, "scan", "--json", ...flags];
        const child = Bun.spawn(command, { stdout: "pipe", stderr: "pipe" });
        const [stdout, stderr] = await Promise.all([
          new Response(child.stdout).text(),
          new Response(child.stderr).text(),
        ]);
        return { code: await child.exited, stderr, ...JSON.parse(stdout) };
      };
      const strict = await withoutRights();
      expect([strict.code, strict.status]).toEqual([4, "partial"]);
      expect(strict.missing.length).toBeGreaterThan(0);
      expect(strict.stderr).toStartWith(`lz-agent: partial: ${strict.missing[0].slice(0, 5)}`);
      expect(await withoutRights("--allow-partial")).toMatchObject({
        code: 0,
        status: "partial",
        stderr: "",
      });
    },
  );

  test("scan and explain use the catalogue that the daemon stored, and scan prints its version", async () => {
    await call(enrollment());
    const json = JSON.stringify({ version: "2099.01.01", entries: [ollama] });
    const document = await signCatalogue(edge.control, json, Math.floor(Date.now() / 1000));
    const stored = { v: 1, checkedBy: AGENT_VERSION, document };
    writeFileSync(join(state, "catalogue.json"), JSON.stringify(stored));
    const scanned = JSON.parse((await call(["scan", "--json", "--allow-partial", "--state", state])).stdout);
    expect(Object.keys(scanned).sort()).toEqual(SCAN_KEYS);
    expect(scanned.collectors).toContainEqual({
      name: "catalogue",
      status: "ok",
      detail: "2099.01.01, of the control plane",
    });
    const fields: Explained[] = JSON.parse((await call(["explain", "--json", "--state", state])).stdout);
    const catalogue = fields.find(({ path }) => path === "agent.catalogue");
    expect(catalogue?.values).toEqual(["2099.01.01"]);
    // A scan must work although the agent's state directory is unusable.
    writeFileSync(join(state, "identity.json"), "{");
    const without = await call(["scan", "--json", "--allow-partial", "--state", state]);
    expect(JSON.parse(without.stdout).collectors).toContainEqual({
      name: "catalogue",
      status: "partial",
      detail: expect.stringContaining("built in; the state directory could not be read"),
    });
  });

  test("reads the configuration file, names it in status and in the log, and rejects the whole file if one value is invalid", async () => {
    const file = join(temporaryDirectory(), "agent.json");
    writeFileSync(
      file,
      JSON.stringify({ state, interval: 150, log: "json", url: edge.url, employee: "grace" }),
    );
    const config = ["--config", file];
    expect(await call(["enroll", ...config], { LZ_ENROLL_TOKEN: TOKEN })).toMatchObject({ code: 0 });
    expect(edge.enrolments.at(-1)?.employeeId).toBe("grace");
    const child = spawn(["run", ...config]);
    await until("heartbeats arrive", () => edge.taken.length >= 3);
    expect(edge.taken.at(-1)?.agent.intervalMs).toBe(150);
    const here = JSON.parse((await call(["status", "--json", ...config])).stdout);
    expect(here).toMatchObject({ config: file, state, running: true, daemon: { config: file } });
    const text = (await call(["status"], { LZ_CONFIG: file })).stdout;
    expect(text).toContain(`\nconfig       ${file}\n`);
    const other = (await call(["status", "--state", state])).stdout;
    expect(other).toContain(`agent.json does not exist); the daemon uses ${file}\n`);
    child.kill("SIGTERM");
    const { stderr } = await child.done;
    for (const line of stderr.trim().split("\n")) expect(JSON.parse(line)).toMatchObject({ stage: "agent" });
    writeFileSync(file, JSON.stringify({ interval: 1, colour: "red" }));
    for (const verb of [
      ["run"],
      ["status"],
      ["scan"],
      ["explain"],
      ["release", "--code", "x"],
      ["service", "install"],
    ])
      expect(await call([...verb, ...config])).toEqual({
        code: 2,
        stdout: "",
        stderr: `lz-agent: interval in ${file} must be a whole number of milliseconds, 100 to 3600000; colour in ${file} is unknown\n`,
      });
    expect(await call(["run", "--help", ...config])).toMatchObject({ code: 0 });
  });

  test("enroll: reads the token from a file or standard input, and requires the URL of a control plane", async () => {
    const args = enrollment().filter((word) => word !== "--token" && word !== TOKEN);
    const file = join(temporaryDirectory(), "token");
    writeFileSync(file, `${TOKEN}\n`, { mode: 0o600 });
    expect(await call([...args, "--token-file", file])).toMatchObject({ code: 0, stderr: "" });
    const piped = Bun.spawn([process.execPath, MAIN, ...args, "--force", "--token-file", "-"], {
      stdin: new Blob([`${TOKEN}\n`]),
    });
    expect(await piped.exited).toBe(0);
    expect(edge.enrolments).toHaveLength(2);
    expect(await call([...args, "--force", "--token-file", join(state, "nowhere")])).toMatchObject({
      code: 2,
      stderr: "lz-agent: enroll: no enrolment token; give --token-file, or set LZ_ENROLL_TOKEN\n",
    });
    expect(await call(["enroll", "--state", state])).toMatchObject({
      code: 2,
      stderr: "lz-agent: enroll: --url is missing; give the origin of the control plane, or set LZ_URL\n",
    });
  });

  testUnless(
    missing("Linux"),
    "exits with an error if output cannot be written, but not if the reader closes it early",
    async () => {
      const through = (tail: string) =>
        Bun.spawnSync(["sh", "-c", `"$0" "$1" explain --state "$2" ${tail}`, process.execPath, MAIN, state]);
      const full = through("> /dev/full");
      expect([full.exitCode, full.stderr.toString()]).toEqual([
        1,
        "lz-agent: cannot write the output (ENOSPC)\n",
      ]);
      const read = through("| head -1");
      expect([read.stdout.toString().split("\n").length, read.stderr.toString()]).toEqual([2, ""]);
    },
  );

  testUnless(missing("Linux"), "an interrupted scan prints what it has found and exits with 1", async () => {
    const child = spawn(["scan", "--json", "--allow-partial", "--state", state]);
    // A signal that arrives before the signal handlers are installed would end the process immediately.
    await until("it handles signals", () => {
      const caught = /^SigCgt:\s*(\w+)$/m.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1];
      return ((BigInt(`0x${caught}`) >> 14n) & 1n) === 1n;
    });
    child.kill("SIGTERM");
    const { code, stdout, stderr } = await child.done;
    expect([code, stderr]).toEqual([1, "lz-agent: interrupted: the scan is not complete\n"]);
    // The interrupted scan may not have read the models on disk yet.
    const { stores: _, ...printed } = JSON.parse(stdout);
    expect(Object.keys(printed).sort()).toEqual(SCAN_KEYS.filter((key) => key !== "stores"));
  });

  testUnless(
    missing("Linux"),
    "service install --print: names a configuration file that the daemon would not find by itself",
    async () => {
      const file = join(temporaryDirectory(), "agent.json");
      writeFileSync(file, "{}");
      for (const [args, env] of [
        [["--config", file], {}],
        [[], { LZ_CONFIG: file }],
      ] as const) {
        const { code, stdout } = await call(["service", "install", "--print", "--state", "x", ...args], env);
        expect(code).toBe(0);
        expect(stdout).toContain(`run --service --state ${join(process.cwd(), "x")} --config ${file}`);
      }
      const plain = await call(["service", "install", "--print", "--state", state]);
      expect(plain.stdout).toContain(`run --service --state ${state}\n`);
    },
  );

  describeUnless(missing("Linux", "root"), "service uninstall", () => {
    /**
     * Uninstalls the service with a stub of systemctl. The stub only records its calls, so no service of the
     * test machine changes.
     */
    async function uninstall(files: Record<string, string>, ...words: string[]) {
      const directory = temporaryDirectory();
      const calls = join(directory, "calls");
      writeFileSync(join(directory, "systemctl"), `#!/bin/sh\necho "$@" >> ${calls}\n`, { mode: 0o755 });
      const place = join(directory, "state");
      mkdirSync(place);
      for (const [name, content] of Object.entries(files)) writeFileSync(join(place, name), content);
      const ended = await call(["service", "uninstall", "--state", place, ...words], {
        PATH: `${directory}:${process.env.PATH}`,
      });
      const left = Object.keys(files).filter(
        (name) => readFileSync(join(place, name), "utf8") === files[name],
      );
      return { ...ended, isCarriedOut: existsSync(calls), left };
    }
    const contained = (mode: string, action = "isolate") => ({
      "containment.json": JSON.stringify({
        report: { generation: 7, action, mode, outcome: "applied", at: "2026-11-21T00:00:00.000Z" },
        underway: false,
        traces: { mode, wasInForce: true },
        usedCodes: [],
      }),
    });
    const free = {
      "containment.json": contained("network", "release")["containment.json"].replace(
        /"traces":\{[^}]*\}/,
        '"traces":null',
      ),
    };

    test.each([
      ["network", contained("network"), "this host is isolated (mode network, generation 7)"],
      ["stop-engines", contained("stop-engines"), "this host is isolated (mode stop-engines, generation 7)"],
      [
        "a release that failed",
        contained("network", "release"),
        "this host is isolated (mode network, generation 7)",
      ],
      [
        "a damaged state",
        { "containment.json": "{" },
        "the agent cannot determine whether this host is isolated",
      ],
      [
        "kept rules alone",
        { "containment.nft": "table inet lifecyclezero" },
        "the agent cannot determine whether",
      ],
    ] as [string, Record<string, string>, string][])(
      "refuses with one line on an isolated host (%s) and changes nothing; with --force it says what remains and releases nothing",
      async (_what, files, why) => {
        const refused = await uninstall(files);
        expect([refused.code, refused.stdout, refused.isCarriedOut]).toEqual([1, "", false]);
        expect(refused.stderr).toStartWith(`lz-agent: service: ${why}`);
        expect(refused.stderr).toEndWith(": release it first, or uninstall with --force\n");
        expect(refused.stderr.trim().split("\n")).toHaveLength(1);
        const forced = await uninstall(files, "--force");
        expect([forced.code, forced.isCarriedOut]).toEqual([0, true]);
        expect(forced.stderr).toContain("Rules and suspended processes remain, until this host restarts. ");
        expect(forced.left).toEqual(Object.keys(files));
      },
    );

    test.each([
      ["a host that was never isolated", {}],
      ["a host that was released", free],
      ["a host in mode observe, which changed nothing", contained("observe")],
    ] as [string, Record<string, string>][])(
      "uninstalls the service and prints no message on %s",
      async (_what, files) => {
        const { code, stderr, isCarriedOut } = await uninstall(files);
        expect([code, stderr, isCarriedOut]).toEqual([0, "", true]);
      },
    );
  });

  test("run --service: logs JSON lines, and the reason if it cannot run", async () => {
    const { code, stderr } = await call(["run", "--service", "--state", state]);
    expect(code).toBe(1);
    expect(JSON.parse(stderr)).toMatchObject({
      level: "error",
      event: "agent.not-started",
      reason: `this host is not enrolled (no identity in ${state}): run lz-agent enroll first`,
    });
  });

  test("run --log-file: logs to a file that only its owner can read, and not to stderr", async () => {
    await call(enrollment());
    const file = join(state, "agent.log");
    const child = spawn(["run", "--state", state, "--interval", "100", "--log", "json", "--log-file", file]);
    await until("heartbeats arrive", () => edge.taken.length >= 1);
    child.kill("SIGTERM");
    expect(await child.done).toMatchObject({ code: 0, stderr: "" });
    const events = readFileSync(file, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).event);
    expect([events[0], events.at(-1)]).toEqual(["agent.started", "agent.stopped"]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test("enroll: creates a key, prints the new identity, and is idempotent", async () => {
    const first = await call(enrollment());
    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(first.stdout).toStartWith(`enrolled as ${ASSET} of ${TENANT} at ${edge.url}\n`);
    const again = await call(enrollment());
    expect(again).toMatchObject({
      code: 0,
      stdout: `already enrolled as ${ASSET} of ${TENANT} at ${edge.url}\n`,
    });
    expect(edge.enrolments).toHaveLength(1);
    const forced = await call([...enrollment(), "--force"]);
    expect(forced.code).toBe(0);
    expect(new Set(edge.enrolments.map(({ deviceKey }) => deviceKey)).size).toBe(1);
    const other = await call([
      "enroll",
      "--url",
      "https://other.example",
      "--token",
      TOKEN,
      "--state",
      state,
    ]);
    expect(other.code).toBe(1);
    expect(other.stderr).toContain(`already enrolled at ${edge.url}`);
  });

  test("enroll: is rejected on an isolated host, because the host could not be released afterwards; on other hosts, generations start again at 0", async () => {
    await call(enrollment());
    const containment = join(state, "containment.json");
    const report = { generation: 3, action: "isolate", mode: "network", outcome: "applied" };
    const kept = { report: { ...report, at: "2026-11-21T00:00:00.000Z" }, underway: false };
    const traces = { mode: "network", wasInForce: true };
    writeFileSync(containment, JSON.stringify({ ...kept, traces }), { mode: 0o600 });
    edge.assetId = "01JD8Z0000000000000000NEW1";
    const refused = await call([...enrollment(), "--force"]);
    expect(refused).toMatchObject({
      code: 1,
      stderr: "lz-agent: enroll: this host is isolated (mode network, generation 3): release it first\n",
    });
    expect(edge.enrolments).toHaveLength(1);
    writeFileSync(containment, JSON.stringify({ ...kept, traces: null }), { mode: 0o600 });
    expect((await call([...enrollment(), "--force"])).code).toBe(0);
    expect(existsSync(containment)).toBe(false);
  });

  test("enroll: reads the token from the environment, and writes it to no file and no output", async () => {
    const args = enrollment().filter((word) => word !== "--token" && word !== TOKEN);
    expect(await call(args)).toMatchObject({
      code: 2,
      stderr: "lz-agent: enroll: no enrolment token; give --token-file, or set LZ_ENROLL_TOKEN\n",
    });
    const secret = TOKEN;
    const { code, stdout, stderr } = await call(args, { LZ_ENROLL_TOKEN: secret });
    expect(code).toBe(0);
    const kept = readdirSync(state).map((name) =>
      name === "spool" ? "" : readFileSync(join(state, name), "utf8"),
    );
    expect(`${stdout}${stderr}${kept.join("")}`).not.toContain(secret);
  });

  test("enroll: prints the rejection of the control plane in one line", async () => {
    const { code, stderr } = await call(enrollment().map((word) => (word === TOKEN ? "wrong" : word)));
    expect(code).toBe(1);
    expect(stderr).toBe(
      "lz-agent: not enrolled: The enrolment token is not valid (enrolment.invalid-token)\n",
    );
  });

  test("run and status: heartbeats arrive, a second daemon does not start, and SIGTERM ends the first with exit code 0", async () => {
    await call(enrollment());
    const first = daemon();
    await until("heartbeats arrive", () => edge.taken.length >= 3);
    const second = await call(["run", "--state", state]);
    expect(second.code).toBe(1);
    expect(second.stderr).toBe(`lz-agent: another daemon already uses ${state} (process ${first.pid})\n`);
    const told = await call(["status", "--json", "--state", state]);
    expect(told.code).toBe(0);
    const status = JSON.parse(told.stdout);
    expect(status).toMatchObject({
      enrolled: true,
      running: true,
      pid: first.pid,
      assetId: ASSET,
    });
    const { x, d } = JSON.parse(readFileSync(join(state, "device-key.json"), "utf8"));
    expect(status.deviceKey).toBe(x);
    const words = (await call(["status", "--state", state])).stdout;
    expect(words).toContain(`device key   ${x}\n`);
    expect(words).not.toContain(d);
    expect(status.waiting).toBeLessThanOrEqual(1); // At most one heartbeat is in flight.
    expect(status.daemon).toMatchObject({ connection: "online", dropped: 0 });
    first.kill("SIGTERM");
    expect(await first.done).toMatchObject({ code: 0 });
    const after = await call(["status", "--json", "--state", state]);
    expect([after.code, JSON.parse(after.stdout).running]).toEqual([3, false]);
    expect((await call(["status", "--state", state])).code).toBe(3);
    const order = sequences();
    expect(order).toEqual(order.map((_, index) => order[0]! + index));
    // The real host can change during the test. Each state must have the time of the heartbeat that first
    // reported the state.
    const firstOf = Map.groupBy(edge.taken, ({ stateSince }) => stateSince);
    for (const [since, beats] of firstOf) expect(beats[0]!.sentAt).toBe(since);
  });

  test("run: does not start with a device key that other users can read", async () => {
    await call(enrollment());
    chmodSync(join(state, "device-key.json"), 0o644);
    const { code, stderr } = await call(["run", "--state", state]);
    expect(code).toBe(1);
    expect(stderr).toContain("device-key.json can be read by others (mode 0644)");
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });

  test("run: if it is killed with SIGKILL while the edge is down, no spooled heartbeat is lost and the order is kept", async () => {
    await call(enrollment());
    let isAway = true;
    edge.fault = (path) =>
      isAway && path === "/v1/heartbeats" ? new Response("", { status: 503 }) : undefined;
    const promised: number[] = [];
    for (let round = 1; round <= 3; round++) {
      const child = daemon();
      await until(`round ${round} is spooled`, () => countWaiting(state) >= round);
      child.kill("SIGKILL");
      await child.done;
      promised.splice(0, promised.length, ...files());
    }
    expect(promised).toHaveLength(3);
    isAway = false;
    const last = daemon();
    await until("the spool went out", () => countWaiting(state) === 0 && edge.taken.length > 3);
    last.kill("SIGTERM");
    expect((await last.done).code).toBe(0);
    expect(sequences().slice(0, 3)).toEqual(promised);
    expect(sequences()).toEqual(sequences().toSorted((a, b) => a - b));
    expect(edge.taken.every(({ spool }) => spool.dropped === 0)).toBe(true);
  });

  test("run: if it is killed with SIGKILL while it sends the spool, each heartbeat arrives at least once, in order", async () => {
    await call(enrollment());
    const sent = await anyHeartbeat();
    const spool = openSpool(state, { log: silent });
    const promised = Array.from({ length: 15 }, (_, index) => 100 + index);
    for (const sequence of promised) spool.append(sequence, JSON.stringify({ ...sent, sequence }));
    edge.taken.length = 0;
    for (const enough of [3, 7]) {
      const child = daemon();
      await until(`${enough} are taken`, () => new Set(sequences()).size >= enough);
      child.kill("SIGKILL");
      await child.done;
    }
    const last = daemon();
    await until("all are taken", () => countWaiting(state) === 0 && sequences().length > promised.length);
    last.kill("SIGTERM");
    await last.done;
    const distinct = [...new Set(sequences())];
    expect(distinct.slice(0, promised.length)).toEqual(promised);
  });

  test("run: applies an isolate directive and a release directive, and proves each with an immediate heartbeat", async () => {
    await call(enrollment());
    const child = spawn(["run", "--state", state, "--interval", "60000"]);
    edge.directive = await edge.direct({ generation: 4 });
    await until("the proof of 4 arrives", () =>
      edge.taken.some(({ containment }) => containment.generation === 4 && containment.outcome !== "none"),
    );
    expect(edge.taken.at(-1)?.containment).toMatchObject({
      generation: 4,
      action: "isolate",
      mode: "observe",
      outcome: "applied",
      probes: { controlPlaneReachable: true, forbiddenBlocked: null },
    });
    expect(edge.asked).toContain("/healthz");
    child.kill("SIGTERM");
    await child.done;
    edge.directive = await edge.direct({ generation: 5, action: "release" });
    const next = daemon();
    await until("the proof of 5 arrives", () =>
      edge.taken.some(({ containment }) => containment.generation === 5 && containment.outcome !== "none"),
    );
    expect(edge.taken.at(-1)?.containment).toMatchObject({
      generation: 5,
      action: "release",
      outcome: "applied",
    });
    // A directive with an older generation changes nothing, although its signature is valid.
    edge.directive = await edge.direct({ generation: 4 });
    const count = edge.taken.length;
    await until("more heartbeats", () => edge.taken.length > count + 3);
    expect(edge.taken.at(-1)?.containment.generation).toBe(5);
    next.kill("SIGTERM");
    expect((await next.done).stderr).not.toContain("failed");
  });

  test("run: accepts rotated control keys and a newer catalogue with a session, and keeps both after a restart", async () => {
    await call(enrollment());
    const fresh = await controlKeys();
    const control = { kid: "control-2", key: fresh.control.key };
    const keys = [{ ...fresh.jwks.keys[0]!, kid: "control-2" }];
    edge.keySet = await signKeySet(edge.control, { keys }, Math.floor(Date.now() / 1000));
    edge.signedSettings = await signSettings(control, { clientDirectories: true });
    const json = JSON.stringify({ version: "2099.01.01", entries: [ollama] });
    edge.catalogue = await signCatalogue(control, json, Math.floor(Date.now() / 1000));
    edge.directive = await signDirective(control, { ...directiveClaims(), generation: 1 });
    const first = daemon();
    await until("the new catalogue is in use and the new key is obeyed", () =>
      edge.taken.some(
        ({ agent, containment }) => agent.catalogue === "2099.01.01" && containment.generation === 1,
      ),
    );
    first.kill("SIGTERM");
    expect((await first.done).stderr).not.toContain("refused");
    // The next agent does not accept the old control key, and the edge no longer serves a catalogue. The
    // agent must use the directive and the catalogue that are stored in its state directory.
    edge.catalogue = undefined;
    edge.directive = await edge.direct({ generation: 2, action: "release" });
    edge.taken.length = 0;
    const next = daemon();
    await until("heartbeats after the restart", () => edge.taken.length >= 3);
    next.kill("SIGTERM");
    await next.done;
    for (const { agent, containment } of edge.taken)
      expect([agent.catalogue, containment.generation]).toEqual(["2099.01.01", 1]);
    expect(loadIdentity(state)?.settings.clientDirectories).toBe(true);
  });

  test("run: keeps newer signed settings after a restart, and reports rejected older settings in the log and in status", async () => {
    await call(enrollment());
    const older = edge.signedSettings;
    edge.signedSettings = await signSettings(edge.control, { heartbeatIntervalMs: 2000 });
    const first = daemon();
    await until(
      "the newer settings are kept",
      () => loadIdentity(state)?.settings.heartbeatIntervalMs === 2000,
    );
    first.kill("SIGTERM");
    expect((await first.done).stderr).not.toContain("refused");
    const kept = loadIdentity(state);
    edge.signedSettings = older;
    edge.taken.length = 0;
    const next = daemon();
    const reason = "they are older than those in use";
    await until("status names the refusal", () => readStatus(state)?.settingsRefused === reason);
    const { stdout } = await call(["status", "--state", state]);
    expect(stdout).toContain("settings     heartbeat every 2 s, working directories not reported; signed 20");
    expect(stdout).toContain(`; newer settings were rejected: ${reason}`);
    next.kill("SIGTERM");
    expect((await next.done).stderr).toContain("settings.refused: ");
    expect(loadIdentity(state)).toEqual(kept!);
  });

  test("run: writes no key, token, signature or body to its log", async () => {
    await call(enrollment());
    const child = spawn(["run", "--state", state, "--interval", "100", "--verbose", "--log", "json"]);
    edge.fault = (path, count) =>
      path === "/v1/heartbeats" && count < 3 ? new Response("", { status: 503 }) : undefined;
    await until("heartbeats arrive", () => edge.taken.length >= 3);
    child.kill("SIGTERM");
    const { stderr } = await child.done;
    const key = JSON.parse(readFileSync(join(state, "device-key.json"), "utf8"));
    for (const secret of [key.d, TOKEN, "signature=", "sha-256=", '"engines"'])
      expect(stderr).not.toContain(secret);
    for (const line of stderr.trim().split("\n")) expect(JSON.parse(line)).toMatchObject({ stage: "agent" });
  });

  /** Signs settings that are newer than the first settings of the edge. */
  const signSettings = (control: ControlKey, more: Partial<AgentSettings>): Promise<string> =>
    signAgentSettings(control, { tenant: TENANT, version: Date.now(), ...SETTINGS, ...more });

  async function anyHeartbeat(): Promise<object> {
    const child = daemon();
    await until("one heartbeat", () => edge.taken.length >= 1);
    child.kill("SIGTERM");
    await child.done;
    return edge.taken[0]!;
  }
});
