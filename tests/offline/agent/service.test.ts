import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { launchd, launchdPlist } from "../../../agent/autostart/launchd.ts";
import { may, must, type Plan } from "../../../agent/autostart/plan.ts";
import { systemd, systemdUnit } from "../../../agent/autostart/systemd.ts";
import { windows, windowsTask } from "../../../agent/autostart/windows.ts";
import { carryOut } from "../../../agent/cli/service.ts";
import { runCommand } from "../../../agent/command.ts";
import { removeTemporaryDirectories, temporaryDirectory } from "./send-edge.ts";

afterEach(removeTemporaryDirectories);

const OPTIONS = { executable: "/usr/local/bin/lz-agent", stateDirectory: "/var/lib/lifecyclezero" };

describe("systemdUnit()", () => {
  test("starts the daemon on its state directory, which is all it may write", () => {
    const lines = systemdUnit(OPTIONS).split("\n");
    expect(lines).toContain("ExecStart=/usr/local/bin/lz-agent run --state /var/lib/lifecyclezero");
    expect(lines).toContain("ReadWritePaths=/var/lib/lifecyclezero");
    expect(lines).toContain("ProtectSystem=strict");
    expect(lines).toContain("NoNewPrivileges=yes");
  });
  test("quotes what has a meaning to systemd", () => {
    const unit = systemdUnit({ executable: "/opt/my agent", stateDirectory: '/srv/100%/$HOME/"x"\\' });
    expect(unit).toContain('ExecStart="/opt/my agent" run --state "/srv/100%%/$$HOME/\\"x\\"\\\\"');
  });
  const hasAnalyze = Bun.which("systemd-analyze") !== null;
  if (!hasAnalyze) console.warn("NOT TESTED: systemd-analyze is not on this machine");
  test.if(hasAnalyze)("passes systemd-analyze verify without a word, and exposes little", async () => {
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
  });
});

describe("launchdPlist()", () => {
  test("is the one kept as golden", () => {
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
    <string>--state</string>
    <string>/Library/Application Support/A&amp;B</string>
    <string>--log</string>
    <string>json</string>
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
  <string>/Library/Logs/LifecycleZero/agent.log</string>
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
  test("runs as SYSTEM from boot on, without a time limit, and escapes what XML must", () => {
    const task = windowsTask(options);
    expect(task).toContain("<BootTrigger>");
    expect(task).toContain("<UserId>S-1-5-18</UserId>");
    expect(task).toContain("<ExecutionTimeLimit>PT0S</ExecutionTimeLimit>");
    expect(task).toContain("<Command>&quot;C:\\Program Files\\LifecycleZero\\lz-agent.exe&quot;</Command>");
    expect(task).toContain("<Arguments>run --state &quot;C:\\ProgramData\\A&amp;B&quot;</Arguments>");
  });
  test("takes the state directory from everyone but SYSTEM and administrators, before anything starts", () => {
    const [first, , , last] = windows.install(options).commands;
    expect(first?.command).toEqual([
      "icacls",
      "C:\\ProgramData\\A&B",
      "/inheritance:r",
      "/grant:r",
      "*S-1-5-18:(OI)(CI)F",
      "*S-1-5-32-544:(OI)(CI)F",
    ]);
    expect(last?.command).toEqual(["schtasks", "/Run", "/TN", "\\LifecycleZero\\Agent"]);
  });
});

test.each([
  ["systemd", systemd, ["systemctl disable --now lz-agent.service"]],
  ["launchd", launchd, ["launchctl bootout system/com.lifecyclezero.agent"]],
  [
    "windows",
    windows,
    ["schtasks /End /TN \\LifecycleZero\\Agent", "schtasks /Delete /TN \\LifecycleZero\\Agent /F"],
  ],
] as const)("%s: uninstall undoes what install wrote, and may find it gone", (_name, kind, commands) => {
  const plan = kind.uninstall();
  expect(plan.commands.map(({ command }) => command.join(" "))).toEqual([...commands]);
  expect(plan.commands.every(({ mayFail }) => mayFail)).toBe(true);
  expect(plan.removals).toEqual(kind.install(OPTIONS).files.map(({ path }) => path));
});

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
    return { lines, print: (line: string) => lines.push(line), complain: (line: string) => lines.push(line) };
  };
  test("writes files with their mode, runs the commands, and minds no failure that may be", async () => {
    const directory = temporaryDirectory();
    const machine = collect();
    expect(await carryOut(machine, plan(directory), runCommand)).toBe(0);
    expect(readFileSync(join(directory, "d", "unit"), "utf8")).toBe("x");
    expect(statSync(join(directory, "d", "unit")).mode & 0o777).toBe(0o644);
    expect(machine.lines.at(-1)).toBe("ran true");
  });
  test("stops at the first failure that must not be, in one line", async () => {
    const machine = collect();
    const commands = [must("sh", "-c", "echo no such unit >&2; exit 5"), must("true")];
    expect(await carryOut(machine, plan(temporaryDirectory(), { commands }), runCommand)).toBe(1);
    expect(machine.lines.at(-1)).toEndWith("failed: no such unit");
  });
  test("says when a program of the system is missing, and when a file cannot be written", async () => {
    const machine = collect();
    expect(
      await carryOut(
        machine,
        plan(temporaryDirectory(), { commands: [must("no-such-program-lz")] }),
        runCommand,
      ),
    ).toBe(1);
    expect(machine.lines.at(-1)).toStartWith("lz-agent: service: no-such-program-lz failed: ");
    const files = [{ path: "/nonexistent/dir/unit", content: "", mode: 0o644, encoding: "utf8" as const }];
    expect(await carryOut(machine, plan(temporaryDirectory(), { files }), runCommand)).toBe(1);
    expect(machine.lines.at(-1)).toBe("lz-agent: service: cannot write (ENOENT)");
  });
  test("removes files at the end", async () => {
    const path = join(temporaryDirectory(), "unit");
    writeFileSync(path, "");
    const machine = collect();
    expect(
      await carryOut(
        machine,
        { directories: [], files: [], commands: [], removals: [path, path] },
        runCommand,
      ),
    ).toBe(0);
    expect(existsSync(path)).toBe(false);
    expect(machine.lines).toEqual([`removed ${path}`]);
  });
});

test("runCommand() bounds nothing away from a small output and passes stdin", async () => {
  expect(await runCommand(["cat"], "hello")).toEqual({ code: 0, stdout: "hello", stderr: "" });
  expect((await runCommand(["true"], "x".repeat(1_000_000))).code).toBe(0);
});
