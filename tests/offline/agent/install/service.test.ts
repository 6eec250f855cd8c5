import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { carryOut } from "../../../../agent/install/install.ts";
import { launchd, launchdPlist } from "../../../../agent/install/launchd.ts";
import { insist, may, must, type Plan } from "../../../../agent/install/plan.ts";
import { containedUnit, systemd, systemdUnit } from "../../../../agent/install/systemd.ts";
import { commandLine } from "../../../../agent/install/windows-directory.ts";
import { windowsService } from "../../../../agent/install/windows-service.ts";
import { windowsTask, windowsTaskKind } from "../../../../agent/install/windows-task.ts";
import { runCommand } from "../../../../agent/platform/run-command.ts";
import { missing, testUnless } from "../../../support/missing.ts";
import { removeTemporaryDirectories, temporaryDirectory } from "../report/send-edge.ts";

afterEach(removeTemporaryDirectories);

const OPTIONS = { executable: "/usr/local/bin/lz-agent", stateDirectory: "/var/lib/lifecyclezero" };

describe("systemdUnit()", () => {
  test("starts the daemon with its state directory as the only writable path", () => {
    const lines = systemdUnit(OPTIONS).split("\n");
    expect(lines).toContain("ExecStart=/usr/local/bin/lz-agent run --service --state /var/lib/lifecyclezero");
    expect(lines).toContain("ReadWritePaths=/var/lib/lifecyclezero");
    expect(lines).toContain("ProtectSystem=strict");
    expect(lines).toContain("NoNewPrivileges=yes");
  });
  test("escapes characters that are special to systemd", () => {
    const unit = systemdUnit({ executable: "/opt/my agent", stateDirectory: '/srv/100%/$HOME/"x"\\' });
    expect(unit).toContain('ExecStart="/opt/my agent" run --service --state "/srv/100%%/$$HOME/\\"x\\"\\\\"');
  });
  testUnless(
    missing("systemd-analyze"),
    "passes systemd-analyze verify without messages, with a low exposure level",
    async () => {
      const path = join(temporaryDirectory(), "lz-agent.service");
      writeFileSync(path, systemdUnit({ ...OPTIONS, executable: process.execPath }));
      const verified = await runCommand(["systemd-analyze", "verify", path]);
      expect(verified.stderr.split("\n").filter((line) => line.includes("lz-agent"))).toEqual([]);
      const { stdout } = await runCommand([
        "systemd-analyze",
        "security",
        "--offline=true",
        "--no-pager",
        path,
      ]);
      const exposure = Number(/Overall exposure level[^:]*: ([\d.]+)/.exec(stdout)?.[1]);
      expect(exposure).toBeLessThanOrEqual(4.5);
    },
  );
});

test.each([
  ["systemd", systemdUnit],
  ["launchd", launchdPlist],
  ["the Windows task", windowsTask],
  ["the Windows service", (options: typeof OPTIONS) => JSON.stringify(windowsService.install(options))],
])("%s starts the daemon with the proxy, exemptions and CA file of the install command", (_, unit) => {
  const network = {
    proxy: "http://proxy.example.com:3128",
    noProxy: "a.example,*.b.example",
    caFile: "/etc/ssl/corp.pem",
  };
  const words = unit({ ...OPTIONS, network } as typeof OPTIONS);
  for (const word of ["--proxy", network.proxy, "--no-proxy", network.noProxy, "--ca-file", network.caFile])
    expect(words).toContain(word);
  expect(unit(OPTIONS)).not.toContain("proxy");
  expect(unit(OPTIONS)).not.toContain("--ca-file");
});

describe("containedUnit()", () => {
  test("loads saved rules before the network starts and after firewall services, only if there are saved rules", () => {
    const lines = containedUnit(OPTIONS).split("\n");
    expect(lines).toContain("ExecStart=nft -f /var/lib/lifecyclezero/containment.nft");
    expect(lines).toContain("ConditionPathExists=/var/lib/lifecyclezero/containment.nft");
    expect(lines).toContain("Before=network-pre.target shutdown.target");
    expect(lines).toContain("After=nftables.service firewalld.service ufw.service");
  });
  testUnless(
    missing("systemd-analyze", "nft"),
    "passes systemd-analyze verify without messages, for any directory",
    async () => {
      for (const stateDirectory of ["/var/lib/lifecyclezero", "/srv/100% mine"]) {
        const path = join(temporaryDirectory(), "lz-agent-contained.service");
        writeFileSync(path, containedUnit({ ...OPTIONS, stateDirectory }));
        const { stderr } = await runCommand(["systemd-analyze", "verify", path]);
        expect(stderr.split("\n").filter((line) => line.includes("lz-agent"))).toEqual([]);
      }
    },
  );
});

type Xml = { name: string; children: Xml[]; text: string };

/** A strict parser for the XML of the templates. It rejects incorrectly nested elements and unknown entities. */
function parseXml(source: string): Xml {
  const root: Xml = { name: "", children: [], text: "" };
  const open = [root];
  const entities: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"' };
  const tokens = /<\?xml [^?]*\?>|<!DOCTYPE [^>]*>|<(\/?)(\w+)((?: \w+="[^"<&]*")*)(\/?)>|([^<]+)/gy;
  let at = 0;
  for (let token = tokens.exec(source); token; token = tokens.exec(source)) {
    at = tokens.lastIndex;
    const [, closes, name, , isEmpty, text] = token;
    const current = open.at(-1)!;
    if (text !== undefined) {
      current.text += text.replace(/&(\w*);?/g, (all, entity) => {
        if (!all.endsWith(";") || !(entity in entities)) throw new Error(`no entity: ${all}`);
        return entities[entity]!;
      });
    } else if (closes) {
      if (open.pop()!.name !== name) throw new Error(`</${name}> closes ${current.name}`);
    } else if (name !== undefined) {
      const element: Xml = { name, children: [], text: "" };
      current.children.push(element);
      if (!isEmpty) open.push(element);
    }
  }
  if (at !== source.length) throw new Error(`not XML: ${source.slice(at, at + 40)}`);
  if (open.length !== 1 || root.children.length !== 1) throw new Error("not one whole document");
  return root.children[0]!;
}

/** Value of an element in a property list. A dictionary alternates keys and values (plist(5)). */
function plistValue({ name, children, text }: Xml): unknown {
  if (name === "dict") {
    const pairs = children.flatMap((key, at) =>
      at % 2 === 0 && key.name === "key" ? [[key.text, plistValue(children[at + 1]!)]] : [],
    );
    if (pairs.length * 2 !== children.length) throw new Error("a key or a value is missing");
    return Object.fromEntries(pairs);
  }
  if (name === "array") return children.map(plistValue);
  if (name === "integer") return Number(text);
  if (name === "true" || name === "false") return name === "true";
  if (name === "string") return text;
  throw new Error(`no plist value: ${name}`);
}

test.each(["<a><b></a></b>", "<a>", "<a/><a/>", "<a>&x;</a>", "<a>&</a>", "<a b=c/>", "<a>1 < 2</a>"])(
  "parseXml() of these tests refuses %s",
  (source) => {
    expect(() => parseXml(source)).toThrow();
  },
);

const ODD = { executable: '/opt/<a> & "b"/lz-agent', stateDirectory: "/srv/&amp;/'x'", config: "/e<f>.json" };
const ODD_WORDS = ["run", "--service", "--state", ODD.stateDirectory, "--config", ODD.config];

test("launchdPlist() is a property list that keeps unusual paths unchanged", () => {
  expect(plistValue(parseXml(launchdPlist(ODD)).children[0]!)).toEqual({
    Label: "com.lifecyclezero.agent",
    ProgramArguments: [ODD.executable, ...ODD_WORDS],
    RunAtLoad: true,
    KeepAlive: true,
    ThrottleInterval: 5,
    ExitTimeOut: 10,
    ProcessType: "Background",
    LowPriorityIO: true,
    Umask: 0o077,
    StandardErrorPath: "/Library/Logs/LifecycleZero/agent.stderr.log",
  });
});

test("windowsTask() is XML that keeps unusual paths unchanged", () => {
  const actions = parseXml(windowsTask(ODD)).children.find(({ name }) => name === "Actions")!;
  const [command, words] = actions.children[0]!.children;
  expect(command!.text).toBe(`"${ODD.executable}"`);
  expect(toWords(words!.text)).toEqual(ODD_WORDS);
});

describe("launchdPlist()", () => {
  test("equals the expected file", () => {
    expect(
      launchdPlist({
        executable: "/usr/local/bin/lz-agent",
        stateDirectory: "/Library/Application Support/A&B",
      }),
    ).toBe(
      `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>com.lifecyclezero.agent</string>
  <key>ProgramArguments</key>
  <array>
    <string>/usr/local/bin/lz-agent</string>
    <string>run</string>
    <string>--service</string>
    <string>--state</string>
    <string>/Library/Application Support/A&amp;B</string>
  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <true/>
  <key>ThrottleInterval</key>
  <integer>5</integer>
  <key>ExitTimeOut</key>
  <integer>10</integer>
  <key>ProcessType</key>
  <string>Background</string>
  <key>LowPriorityIO</key>
  <true/>
  <key>Umask</key>
  <integer>63</integer>
  <key>StandardErrorPath</key>
  <string>/Library/Logs/LifecycleZero/agent.stderr.log</string>
</dict>
</plist>
`,
    );
  });
});

describe("windowsTask()", () => {
  const options = {
    executable: "C:\\Program Files\\LifecycleZero\\lz-agent.exe",
    stateDirectory: "C:\\ProgramData\\A&B",
  };
  test("runs as SYSTEM from boot, without a time limit, and is escaped as XML", () => {
    const task = windowsTask(options);
    expect(task).toContain("<BootTrigger>");
    expect(task).toContain("<UserId>S-1-5-18</UserId>");
    expect(task).toContain("<ExecutionTimeLimit>PT0S</ExecutionTimeLimit>");
    expect(task).toContain("<Command>&quot;C:\\Program Files\\LifecycleZero\\lz-agent.exe&quot;</Command>");
    expect(task).toContain(
      "<Arguments>run --service --state &quot;C:\\ProgramData\\A&amp;B&quot;</Arguments>",
    );
  });
});

describe("windowsService", () => {
  const options = {
    executable: "C:\\Program Files\\LifecycleZero\\lz-agent.exe",
    stateDirectory: "C:\\ProgramData\\A&B",
    config: "D:\\lz\\agent.json",
  };
  const lines = windowsService.install(options).commands.map(({ command }) => command.join(" "));
  test("runs as SYSTEM from boot with the daemon's arguments, and restarts after a failure", () => {
    const binary = `binPath= "${options.executable}" run --service --state "C:\\ProgramData\\A&B" --config D:\\lz\\agent.json`;
    expect(lines).toContain(
      `sc create LifecycleZeroAgent ${binary} start= auto DisplayName= LifecycleZero endpoint agent`,
    );
    expect(lines).toContain(
      "sc failure LifecycleZeroAgent reset= 86400 actions= restart/5000/restart/5000/restart/60000",
    );
    expect(lines.at(-1)).toBe("sc start LifecycleZeroAgent");
  });
  test.each([windowsService, windowsTaskKind])(
    "restricts the state directory to SYSTEM and administrators before the daemon starts",
    (kind) => {
      const [owner, rights] = kind.install(options).commands;
      expect(owner).toEqual({
        command: ["icacls", options.stateDirectory, "/setowner", "*S-1-5-32-544", "/T", "/C", "/Q"],
        mayFail: false,
      });
      expect(rights).toEqual({
        command: [
          "icacls",
          options.stateDirectory,
          "/inheritance:r",
          "/grant:r",
          "*S-1-5-18:(OI)(CI)F",
          "*S-1-5-32-544:(OI)(CI)F",
        ],
        mayFail: false,
      });
    },
  );
  test("the installation of the service removes the task, and that of the task removes the service", () => {
    expect(lines).toContain("schtasks /Delete /TN \\LifecycleZero\\Agent /F");
    const task = windowsTaskKind.install(options).commands.map(({ command }) => command.join(" "));
    expect(task).toContain("sc delete LifecycleZeroAgent");
    expect(task.at(-1)).toBe("schtasks /Run /TN \\LifecycleZero\\Agent");
  });
});

/**
 * Splits a command line by the rules of CommandLineToArgvW (learn.microsoft.com). Windows passes arguments to
 * the daemon in this way.
 */
function toWords(line: string): string[] {
  const words: string[] = [];
  let word = "";
  let isQuoted = false;
  let isWord = false;
  for (let at = 0; at < line.length; at += 1) {
    const slashes = /^\\*/.exec(line.slice(at))![0].length;
    if (slashes > 0 && line[at + slashes] === '"') {
      word += "\\".repeat(Math.floor(slashes / 2));
      at += slashes - (slashes % 2 === 0 ? 1 : 0);
      if (slashes % 2 === 1) word += '"';
      isWord = true;
    } else if (line[at] === '"') {
      isQuoted = !isQuoted;
      isWord = true;
    } else if (line[at] === " " && !isQuoted) {
      if (isWord) words.push(word);
      word = "";
      isWord = false;
    } else {
      word += line[at];
      isWord = true;
    }
  }
  return isWord ? [...words, word] : words;
}

test.each([
  [["C:\\a b\\c.exe", "run"]],
  [["C:\\a\\", "x"]],
  [["C:\\a b\\", "x"]],
  [['say "hi"', "\\\\server\\share name\\"]],
  [["", "--config", "D:\\x.json"]],
])("commandLine() of %j is parsed back to the same arguments", (words) => {
  expect(toWords(commandLine(words))).toEqual(words);
});

test.each([
  ["systemd", systemd, ["systemctl disable --now lz-agent.service lz-agent-contained.service"]],
  ["launchd", launchd, ["launchctl bootout system/com.lifecyclezero.agent"]],
  [
    "windows service",
    windowsService,
    [
      "net stop LifecycleZeroAgent /y",
      "sc delete LifecycleZeroAgent",
      "schtasks /End /TN \\LifecycleZero\\Agent",
      "schtasks /Delete /TN \\LifecycleZero\\Agent /F",
    ],
  ],
] as const)(
  "%s: uninstall removes everything that install wrote, and succeeds if nothing is left to remove",
  (_name, kind, commands) => {
    const plan = kind.uninstall();
    expect(plan.commands.map(({ command }) => command.join(" "))).toEqual([...commands]);
    expect(plan.commands.every(({ mayFail }) => mayFail)).toBe(true);
    expect(plan.removals).toEqual(kind.install(OPTIONS).files.map(({ path }) => path));
  },
);

describe("carryOut()", () => {
  const plan = (directory: string, more: Partial<Plan> = {}): Plan => ({
    directories: [join(directory, "d")],
    files: [{ path: join(directory, "d", "unit"), content: "x", mode: 0o644, encoding: "utf8" }],
    commands: [may("false"), must("true")],
    removals: [],
    ...more,
  });
  const collect = () => {
    const lines: string[] = [];
    return {
      lines,
      print: (line: string) => void lines.push(line),
      run: runCommand,
      sleep: async () => {},
    };
  };
  test("writes files with their mode, runs the commands, and ignores failures that are allowed", async () => {
    const directory = temporaryDirectory();
    const deps = collect();
    expect(await carryOut(plan(directory), deps)).toEqual({ ok: true });
    expect(readFileSync(join(directory, "d", "unit"), "utf8")).toBe("x");
    expect(statSync(join(directory, "d", "unit")).mode & 0o777).toBe(0o644);
    expect(deps.lines.at(-1)).toBe("ran true");
  });
  test("stops at the first failure that is not allowed, and reports it in one line", async () => {
    const commands = [must("sh", "-c", "echo no such unit >&2; exit 5"), must("true")];
    const deps = collect();
    const outcome = await carryOut(plan(temporaryDirectory(), { commands }), deps);
    expect(outcome).toMatchObject({ ok: false, reason: expect.stringMatching(/failed: no such unit$/) });
    expect(deps.lines).not.toContain("ran true");
  });
  test("retries a step up to its number of tries", async () => {
    const directory = temporaryDirectory();
    const count = `echo >> ${directory}/tries; test $(wc -l < ${directory}/tries) -ge 3`;
    const commands = [insist(3, "sh", "-c", count)];
    expect(await carryOut(plan(directory, { commands }), collect())).toEqual({ ok: true });
    const again = [insist(2, "sh", "-c", `${count.replaceAll("tries", "more")}`)];
    expect(await carryOut(plan(directory, { commands: again }), collect())).toMatchObject({ ok: false });
  });
  test("reports a missing program and a file that cannot be written", async () => {
    const commands = [must("no-such-program-lz")];
    expect(await carryOut(plan(temporaryDirectory(), { commands }), collect())).toMatchObject({
      reason: expect.stringMatching(/^no-such-program-lz failed: /),
    });
    const files = [{ path: "/nonexistent/dir/unit", content: "", mode: 0o644, encoding: "utf8" as const }];
    expect(await carryOut(plan(temporaryDirectory(), { files }), collect())).toEqual({
      ok: false,
      reason: "cannot write the service files (ENOENT)",
    });
  });
  test("deletes files after the commands", async () => {
    const path = join(temporaryDirectory(), "unit");
    writeFileSync(path, "");
    const deps = collect();
    const removals = { directories: [], files: [], commands: [], removals: [path, path] };
    expect(await carryOut(removals, deps)).toEqual({ ok: true });
    expect(existsSync(path)).toBe(false);
    expect(deps.lines).toEqual([`removed ${path}`]);
  });
});

test("runCommand() returns a small output completely and passes stdin", async () => {
  expect(await runCommand(["cat"], "hello")).toEqual({ code: 0, stdout: "hello", stderr: "" });
  expect((await runCommand(["true"], "x".repeat(1_000_000))).code).toBe(0);
});
