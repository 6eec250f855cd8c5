import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { lockHolder, processBirth } from "../../../../agent/daemon/single-instance-lock.ts";
import { readStatus } from "../../../../agent/daemon/status-file.ts";
import { type InstallDeps, installService, replaceBinary } from "../../../../agent/install/install.ts";
import { daemonArguments, may, must, type ServiceKind } from "../../../../agent/install/plan.ts";
import { runCommand } from "../../../../agent/platform/run-command.ts";
import { sleep } from "../../../../shared/time/sleep.ts";
import { describeUnless, missing } from "../../../support/missing.ts";
import {
  removeTemporaryDirectories,
  startEdge,
  type TestEdge,
  TOKEN,
  temporaryDirectory,
  until,
} from "../report/send-edge.ts";

/*
 * Installs and upgrades real daemons. The service manager is a shell script that starts the program of the
 * unit in the background and stops it with a signal. The binaries are shell scripts that run the agent from
 * source, so that there are several versions, including broken ones.
 */

setDefaultTimeout(240_000);

const MAIN = new URL("../../../../agent/main.ts", import.meta.url).pathname;

const INIT = `#!/bin/sh
# start UNIT PID | stop PID
case $1 in
  start) setsid sh "$2" </dev/null >/dev/null 2>&1 & echo $! > "$3" ;;
  stop)
    pid=$(cat "$2") || exit 1
    kill "$pid" || exit 1
    while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
    rm "$2" ;;
esac
`;

const working = (version: number): string =>
  `#!/bin/sh\n# version ${version}\nexec ${process.execPath} ${MAIN} "$@"\n`;

let edge: TestEdge;
let directory: string;
let state: string;
let to: string;
let pidFile: string;
let kind: ServiceKind;
let printed: string[];

const daemon = (): number | undefined => {
  const holder = lockHolder(state, { birthOf: (pid) => processBirth(pid, "linux") });
  return holder !== undefined && readStatus(state)?.pid === holder.pid ? holder.pid : undefined;
};
const deps = (): InstallDeps => ({
  platform: "linux",
  run: runCommand,
  sleep,
  print: (line) => void printed.push(line),
  daemon,
});
const binary = (name: string, content: string): string => {
  const path = join(directory, name);
  writeFileSync(path, content);
  chmodSync(path, 0o755);
  return path;
};
const install = (from: string, comeUpMs?: number) =>
  installService(kind, { executable: to, stateDirectory: state }, from, deps(), comeUpMs);

beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(removeTemporaryDirectories);

describeUnless(missing("Linux"), "installService()", () => {
  beforeEach(async () => {
    edge = await startEdge();
    state = join(directory, "state");
    to = join(directory, "bin", "lz-agent");
    printed = [];
    const init = binary("init", INIT);
    const unit = join(directory, "unit");
    pidFile = join(directory, "pid");
    kind = {
      name: "script",
      executable: to,
      install: (options) => ({
        directories: [],
        files: [
          {
            path: unit,
            content: `exec ${options.executable} ${daemonArguments(options).join(" ")} --interval 200\n`,
            mode: 0o644,
            encoding: "utf8",
          },
        ],
        commands: [may(init, "stop", pidFile), must(init, "start", unit, pidFile)],
        removals: [],
      }),
      uninstall: () => ({
        directories: [],
        files: [],
        commands: [may(init, "stop", pidFile)],
        removals: [unit],
      }),
    };
    const enrolled = Bun.spawn(
      [process.execPath, MAIN, "enroll", "--url", edge.url, "--state", state, "--employee", "ada"],
      { env: { ...process.env, LZ_ENROLL_TOKEN: TOKEN } },
    );
    expect(await enrolled.exited).toBe(0);
  });
  afterEach(async () => {
    if (existsSync(pidFile)) {
      await runCommand([join(directory, "init"), "stop", pidFile]);
    }
    await edge.stop();
  });

  test("installs, upgrades a running version, and keeps the old version if the new version does not work", async () => {
    // A new installation succeeds.
    expect(await install(binary("v1", working(1)))).toEqual({ ok: true });
    const first = daemon()!;
    await until("the first version reports", () => edge.taken.length >= 2);
    expect(readdirSync(join(directory, "bin"))).toEqual(["lz-agent"]);

    // An upgrade of a running version succeeds.
    expect(await install(binary("v2", working(2)))).toEqual({ ok: true });
    const second = daemon()!;
    expect(second).not.toBe(first);
    expect(processBirth(first, "linux")).toBeUndefined();
    expect(readFileSync(to, "utf8")).toBe(working(2));
    expect(readdirSync(join(directory, "bin"))).toEqual(["lz-agent"]);
    const taken = edge.taken.length;
    await until("the second version reports", () => edge.taken.length > taken + 1);
    const order = edge.taken.map(({ sequence }) => sequence);
    expect(order).toEqual([...new Set(order)].toSorted((a, b) => a - b));

    // The upgrade is rolled back for a binary that exits immediately, and for a binary that never sends a
    // heartbeat.
    for (const [name, content] of [
      ["ends", "#!/bin/sh\nexit 3\n"],
      ["hangs", "#!/bin/sh\nexec sleep 1000\n"],
    ] as const) {
      const before = daemon();
      const outcome = await install(binary(name, content), 3000);
      expect(outcome).toEqual({
        ok: false,
        reason: expect.stringMatching(/composed no heartbeat within \d+ s; the previous version/),
      });
      await until("the second version runs again", () => ![undefined, before].includes(daemon()));
      expect(readFileSync(to, "utf8")).toBe(working(2));
      expect(readdirSync(join(directory, "bin"))).toEqual(["lz-agent"]);
    }
    expect(Bun.spawnSync(["pgrep", "-f", `${directory}/bin/lz-agent`]).stdout.toString()).toBe("");

    // If the binary cannot be copied, the running daemon is not affected.
    const steady = daemon();
    expect(await install(join(directory, "nowhere"))).toEqual({
      ok: false,
      reason: `cannot write ${to} or its service (ENOENT)`,
    });
    expect(daemon()).toBe(steady);
    expect(readFileSync(to, "utf8")).toBe(working(2));
  });

  test("removes a first installation that does not start", async () => {
    const outcome = await install(binary("broken", "#!/bin/sh\nexit 3\n"), 1000);
    expect(outcome).toEqual({
      ok: false,
      reason: "the new daemon composed no heartbeat within 1 s; everything was removed again",
    });
    expect(readdirSync(join(directory, "bin"))).toEqual([]);
    expect(existsSync(join(directory, "unit"))).toBe(false);
    expect(daemon()).toBeUndefined();
  });

  test("reports a refusal of the service manager, and rolls back", async () => {
    const refusing: ServiceKind = {
      ...kind,
      install: (options) => ({
        ...kind.install(options),
        commands: [must("sh", "-c", "echo no bus >&2; exit 1")],
      }),
    };
    const options = { executable: to, stateDirectory: state };
    const outcome = await installService(refusing, options, binary("v1", working(1)), deps(), 1000);
    expect(outcome).toEqual({
      ok: false,
      reason: expect.stringMatching(/failed: no bus; everything was removed again$/),
    });
    expect(existsSync(to)).toBe(false);
  });
});

describe("replaceBinary()", () => {
  const file = () => join(directory, "place", "agent");
  beforeEach(() => mkdirSync(join(directory, "place")));
  const names = () => readdirSync(join(directory, "place")).sort();

  test.each(["linux", "win32"] as const)(
    "on %s replaces a running binary, and can restore the old one",
    async (platform) => {
      const sleeper = Bun.which("sleep")!;
      expect(replaceBinary(sleeper, file(), platform)).toMatchObject({ hadOne: false });
      const running = Bun.spawn([file(), "60"]);
      const replaced = replaceBinary(binary("new", "new"), file(), platform);
      expect(readFileSync(file(), "utf8")).toBe("new");
      expect(names()).toEqual(["agent", "agent.old"]);
      replaced.restore();
      expect(readFileSync(file())).toEqual(readFileSync(sleeper));
      expect(names()).toEqual(["agent"]);
      replaceBinary(binary("new", "newer"), file(), platform).settle();
      expect(names()).toEqual(["agent"]);
      expect(running.exitCode).toBeNull();
      running.kill();
      await running.exited;
    },
  );

  test("keeps the installed binary if nothing can be copied, and does not replace a binary with itself", () => {
    writeFileSync(file(), "old");
    expect(() => replaceBinary(join(directory, "nowhere"), file(), "linux")).toThrow();
    expect(() => replaceBinary(directory, file(), "win32")).toThrow();
    replaceBinary(file(), file(), "linux").restore();
    expect(names()).toEqual(["agent"]);
    expect(readFileSync(file(), "utf8")).toBe("old");
  });
});
