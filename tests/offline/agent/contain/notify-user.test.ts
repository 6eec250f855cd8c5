import { describe, expect, test } from "bun:test";
import { chownSync, existsSync, mkdirSync, rmSync } from "node:fs";
import {
  darwinNotice,
  linuxNotice,
  noticeText,
  userNotifier,
  windowsNotice,
} from "../../../../agent/contain/notify-user.ts";
import { systemdUnit } from "../../../../agent/install/systemd.ts";
import { missing, testUnless } from "../../../support/missing.ts";
import { linesOf } from "../../../support/run/lines.ts";
import { until } from "../report/send-edge.ts";

describe("notices to the users of the host", () => {
  test("noticeText() says what changed, with the administrator's text if there is any, and is undefined for mode observe", () => {
    const order = { action: "isolate", mode: "network" } as const;
    expect(noticeText({ ...order, notice: "Call 555-0100." })).toBe(
      "LifecycleZero: Call 555-0100. Its network is restricted.",
    );
    expect(noticeText({ ...order, mode: "stop-engines" })).toContain("AI engines were stopped");
    const terminate = { mode: "stop-engines", stopEnginesBy: "terminate" } as const;
    expect(noticeText({ ...order, ...terminate })).toContain("are not restarted automatically");
    expect(noticeText({ ...order, ...terminate, action: "release" })).toContain(
      "start the terminated programs again",
    );
    expect(noticeText({ ...order, mode: "stop-engines", action: "release" })).not.toContain("again");
    expect(noticeText(order)).toContain("contact them");
    expect(noticeText({ ...order, mode: "observe" })).toBeUndefined();
    expect(noticeText({ ...order, action: "release" })).toContain("has ended");
  });

  test("noticeText() removes control characters and limits the length", () => {
    const told = noticeText({
      action: "isolate",
      mode: "network",
      notice: `\u001b[2J\u0007${"x".repeat(900)}`,
    })!;
    expect(told).not.toMatch(/[\u0000-\u001f\u007f]/);
    expect(told.length).toBeLessThanOrEqual(390);
  });

  const HOSTILE = '$(reboot) --help; \'x\' "; do shell script "id" <b>&';

  test("linuxNotice() passes the text as one argument to all terminals, and to each desktop as its own user", () => {
    const [wall, ...desktops] = linuxNotice(HOSTILE, [1000, 1001]);
    expect(wall).toEqual({ command: ["wall", "--", HOSTILE] });
    const body = HOSTILE.replace("&", "&amp;").replace("<b>", "&lt;b&gt;");
    expect(desktops.map(({ command }) => [command[1], command.at(-1)])).toEqual([
      ["--reuid=1000", body],
      ["--reuid=1001", body],
    ]);
  });

  test("darwinNotice() passes the text as an argument of the script, not as part of it", () => {
    const [wall, desktop] = darwinNotice(HOSTILE, [501]);
    expect(wall).toEqual({ command: ["/usr/bin/wall"], stdin: `${HOSTILE}\n` });
    expect(desktop!.command).toEqual([
      ...["/bin/launchctl", "asuser", "501", "/usr/bin/sudo", "-u", "#501", "/usr/bin/osascript"],
      ...["-e", "on run argv"],
      ...["-e", 'display notification (item 1 of argv) with title "LifecycleZero"'],
      ...["-e", "end run", "--", HOSTILE],
    ]);
  });

  test("windowsNotice() passes the text to msg.exe as its input", () => {
    expect(windowsNotice(HOSTILE)).toEqual([{ command: ["msg.exe", "*", "/TIME:3600"], stdin: HOSTILE }]);
  });

  test("userNotifier() ignores missing programs, and is undefined on an unsupported system", async () => {
    for (const [platform, first] of [
      ["linux", "wall"],
      ["darwin", "/usr/bin/stat"],
      ["win32", "msg.exe"],
    ] as const) {
      const asked: string[] = [];
      const run = async ([program]: readonly string[]) => {
        asked.push(program!);
        return { code: 127, stdout: "", stderr: "" };
      };
      await userNotifier(platform, run)?.("words");
      expect(asked[0]).toBe(first);
    }
    expect(userNotifier("freebsd", async () => ({ code: 0, stdout: "", stderr: "" }))).toBeUndefined();
  });
});

/*
 * These tests use a real message bus and a real terminal. The service runs as root with only the capabilities
 * of its unit. The required programs are in Debian's dbus-daemon, libnotify-bin, python3-dbus and python3-gi.
 */
describe("notices to the users of a Linux host", () => {
  const tools = ["dbus-daemon", "notify-send", "setpriv", "wall", "/usr/bin/python3"];
  const hasBindings =
    existsSync("/usr/bin/python3") &&
    Bun.spawnSync(["/usr/bin/python3", "-c", "import dbus, gi"], { stderr: "ignore" }).success;
  const lacking = [
    ...missing("Linux", "root", ...tools),
    ...(hasBindings ? [] : ["python3-dbus", "python3-gi"]),
  ];

  /** Command prefix that runs a program with the capabilities and groups that the unit leaves to the service. */
  const asService = (): string[] => {
    const unit = systemdUnit({ executable: "/bin/true", stateDirectory: "/tmp" });
    const [, names] = /^CapabilityBoundingSet=(.+)$/m.exec(unit)!;
    const [, groups] = /^SupplementaryGroups=(.+)$/m.exec(unit)!;
    const bounding = names!.split(" ").map((name) => `+${name.slice("CAP_".length).toLowerCase()}`);
    return [
      "setpriv",
      `--bounding-set=-all,${bounding.join(",")}`,
      "--inh-caps=-all",
      "--no-new-privs",
      "--groups",
      groups!,
    ];
  };

  testUnless(
    lacking,
    "reach the user's session bus with the capabilities of the service",
    async () => {
      const UID = 65_534; // User id of `nobody`. A message bus looks up the user in the account database.
      const home = `/run/user/${UID}`;
      const isOurs = !existsSync(home);
      if (!isOurs) throw new Error(`${home} is somebody's`);
      // A machine without user sessions has no such directory. Other users need access to the directory.
      mkdirSync("/run/user", { recursive: true, mode: 0o755 });
      mkdirSync(home, { mode: 0o700 });
      chownSync(home, UID, UID);
      const as = (command: string[]) =>
        Bun.spawn(["setpriv", `--reuid=${UID}`, `--regid=${UID}`, "--clear-groups", ...command], {
          env: { PATH: process.env.PATH ?? "", DBUS_SESSION_BUS_ADDRESS: `unix:path=${home}/bus` },
          stdout: "pipe",
          stderr: "ignore",
        });
      const started = [as(["dbus-daemon", "--session", `--address=unix:path=${home}/bus`, "--nofork"])];
      try {
        await until("the bus is there", () => existsSync(`${home}/bus`));
        const listener = as(["/usr/bin/python3", "-c", LISTENER]);
        started.push(listener);
        const lines = linesOf(listener.stdout)[Symbol.asyncIterator]();
        expect((await lines.next()).value).toBe("ready");
        const { command } = linuxNotice("Call 555-0100 & wait <now>", [UID])[1]!;
        const told = Bun.spawnSync([...asService(), ...command], { stderr: "pipe" });
        expect([told.exitCode, told.stderr.toString()]).toEqual([0, ""]);
        expect((await lines.next()).value).toBe(
          "LifecycleZero|LifecycleZero|Call 555-0100 &amp; wait &lt;now&gt;|2",
        );
      } finally {
        for (const child of started.toReversed()) child.kill("SIGKILL");
        rmSync(home, { recursive: true, force: true });
      }
    },
    60_000,
  );

  testUnless(
    lacking,
    "reach the user's terminal with the capabilities of the service",
    async () => {
      const words = `Call 555-0100 about ${crypto.randomUUID()}.`;
      const [wall] = linuxNotice(words, []);
      const told = Bun.spawnSync(["/usr/bin/python3", "-c", TERMINAL, ...asService(), ...wall!.command], {
        stderr: "pipe",
      });
      expect(told.stderr.toString()).toBe("");
      expect(told.stdout.toString()).toContain(words);
    },
    60_000,
  );
});

/** A minimal notification server with the members that notify-send calls. */
const LISTENER = `
import dbus, dbus.service
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib
DBusGMainLoop(set_as_default=True)
NAME = "org.freedesktop.Notifications"
own = dbus.service.BusName(NAME, dbus.SessionBus())
class Server(dbus.service.Object):
    @dbus.service.method(NAME, in_signature="susssasa{sv}i", out_signature="u")
    def Notify(self, app, replaces, icon, title, body, actions, hints, timeout):
        print(app, title, body, int(hints["urgency"]), sep="|", flush=True)
        return 1
    @dbus.service.method(NAME, out_signature="ssss")
    def GetServerInformation(self): return ("test", "test", "1", "1.2")
    @dbus.service.method(NAME, out_signature="as")
    def GetCapabilities(self): return ["body", "body-markup"]
server = Server(dbus.SessionBus(), "/org/freedesktop/Notifications")
print("ready", flush=True)
GLib.MainLoop().run()
`;

/**
 * A script for a user who is logged in on a terminal (utmp(5)). The terminal belongs to the group tty. The
 * script prints the text that arrives.
 */
const TERMINAL = `
import grp, os, select, struct, subprocess, sys, time
master, slave = os.openpty()
name = os.ttyname(slave)
os.chown(name, 54321, grp.getgrnam("tty").gr_gid)
os.chmod(name, 0o620)
before = open("/run/utmp", "rb").read() if os.path.exists("/run/utmp") else None
entry = struct.pack("hi32s4s32s256shhiii4i20s", 7, os.getpid(), name[5:].encode(), b"lz", b"nobody", b"", 0, 0, 0, int(time.time()), 0, 0, 0, 0, 0, b"")
open("/run/utmp", "ab").write(entry)
try:
    subprocess.run(sys.argv[1:])
    while select.select([master], [], [], 1)[0]: sys.stdout.write(os.read(master, 4096).decode())
finally:
    if before is None: os.unlink("/run/utmp")
    else: open("/run/utmp", "wb").write(before)
`;
