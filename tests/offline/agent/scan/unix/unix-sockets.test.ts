import { afterAll, expect, test } from "bun:test";
import { chownSync, copyFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requestText } from "../../../../../agent/scan/probe/http-client.ts";
import { askSocket } from "../../../../../agent/scan/reader/read-socket.ts";
import { type Files, realFiles } from "../../../../../agent/scan/system/files.ts";
import type { LinuxProcess } from "../../../../../agent/scan/system/linux-process.ts";
import { UNIX_LISTENERS_MAX, UnixSocketTable } from "../../../../../agent/scan/unix/unix-listeners.ts";
import { parseUnixTable } from "../../../../../agent/scan/unix/unix-table.ts";
import { describeUnless, missing } from "../../../../support/missing.ts";
import { linesOf } from "../../../../support/run/lines.ts";

const directory = mkdtempSync(join(tmpdir(), "unix-"));
const children: { kill(): void }[] = [];
afterAll(() => {
  for (const child of children) child.kill();
  rmSync(directory, { recursive: true, force: true });
});

const script = join(import.meta.dir, "../unix-server.py");
let servers = 0;

async function serve(spec: Record<string, unknown>, python: string[] = ["python3", script]) {
  const child = Bun.spawn([...python, JSON.stringify(spec)], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
    cwd: "/",
  });
  children.push(child);
  const lines = linesOf(child.stdout);
  const requests: string[] = [];
  await new Promise<void>((resolve) =>
    lines.on("line", (line) => (line === "ready" ? resolve() : requests.push(JSON.parse(line)))),
  );
  /** Stops the server and returns the requests that it received. */
  const heard = async (): Promise<string[]> => {
    const closed = new Promise((resolve) => lines.once("close", resolve));
    child.stdin.end();
    await closed;
    return requests;
  };
  return { pid: child.pid, heard };
}

const newPath = () => {
  servers += 1;
  return join(directory, `${servers}.sock`);
};
const uid = process.getuid?.() ?? 0;
const ask = (where: { path?: string; abstract?: string }, pids: number[], more: object = {}) =>
  askSocket(
    {
      ...where,
      pids,
      uid,
      quietMs: 100,
      request: requestText("localhost", "/v1/models"),
      bodyBytesMax: 1024,
      timeoutMs: 300,
      ...more,
    },
    () => undefined,
    () => performance.now(),
  );

test("parseUnixTable() returns stream sockets that listen and have a name", () => {
  const table = [
    "Num       RefCount Protocol Flags    Type St Inode Path",
    "0000000065f2a269: 00000002 00000000 00010000 0001 01 152626 /run/a b.sock",
    "00000000f803fbba: 00000002 00000000 00010000 0001 01 152627 @lz-abs-test",
    "00000000f803fbbb: 00000002 00000000 00010000 0005 01 152628 /run/udev/control",
    "0000000079dbd165: 00000003 00000000 00000000 0001 03 130064 /run/a b.sock",
    "000000007503fcb6: 00000003 00000000 00010000 0001 01 130147",
    "",
  ].join("\n");
  expect(parseUnixTable(table)).toEqual([
    { inode: "152626", name: "/run/a b.sock" },
    { inode: "152627", name: "@lz-abs-test" },
  ]);
  const line = "0000000065f2a269: 00000002 00000000 00010000 0001 01 1 /a.sock\n";
  expect(parseUnixTable(line.repeat(10_000))).toHaveLength(4096);
});

describeUnless(missing("Linux", "python3"), "askSocket()", () => {
  const answers = { "/v1/models": [200, "x".repeat(3000)] };

  test("reads the response of the listening process, up to the limit", async () => {
    const path = newPath();
    const { pid, heard } = await serve({ path, answers });
    expect(ask({ path }, [1, pid])).toMatchObject({ answer: { status: 200, body: "x".repeat(1024) } });
    expect(await heard()).toEqual([requestText("localhost", "/v1/models")]);
  });

  test("reads the response at an abstract name", async () => {
    const abstract = `lz-test-${process.pid}`;
    const { pid } = await serve({ abstract, answers });
    expect(ask({ abstract }, [pid])).toMatchObject({ answer: { status: 200 } });
    expect(ask({ abstract }, [pid], { uid: uid + 1 })).toEqual({ failed: "stranger" });
  });

  test("sends nothing if another process or user listens than expected", async () => {
    const path = newPath();
    const { pid, heard } = await serve({ path, answers });
    expect(ask({ path }, [pid + 1])).toEqual({ failed: "stranger" });
    // The test then connects, as root, with the permissions of a user who is not allowed to connect.
    expect(ask({ path }, [pid], { uid: uid + 1 })).toEqual({ failed: uid === 0 ? "refused" : "stranger" });
    expect(ask({ path }, [pid])).toMatchObject({ answer: { status: 200 } });
    expect(await heard()).toHaveLength(1);
  });

  test("sends nothing to a server that speaks first, as ZeroMQ and SSH do", async () => {
    const path = newPath();
    const { pid, heard } = await serve({ path, greeting: "SSH-2.0-OpenSSH_9.6\r\n" });
    expect(ask({ path }, [pid])).toEqual({ failed: "talks" });
    expect(await heard()).toEqual([]);
  });

  test("reports silent after the timeout and sends keep-alives until then", async () => {
    const path = newPath();
    const { pid } = await serve({ path, mute: true });
    let signs = 0;
    const request = { path, pids: [pid], uid, quietMs: 0, request: "GET / HTTP/1.1\r\n\r\n" };
    const answer = askSocket(
      { ...request, bodyBytesMax: 64, timeoutMs: 350 },
      () => {
        signs += 1;
      },
      () => performance.now(),
    );
    expect(answer).toEqual({ failed: "silent" });
    expect(signs).toBeGreaterThan(3);
  });

  test.each([
    ["no file", () => join(directory, "none.sock")],
    [
      "a regular file",
      () => {
        writeFileSync(join(directory, "file.sock"), "");
        return join(directory, "file.sock");
      },
    ],
    [
      "a FIFO",
      () => {
        Bun.spawnSync(["mkfifo", join(directory, "fifo.sock")]);
        return join(directory, "fifo.sock");
      },
    ],
  ])("reports `refused` for %s", (_, make) => {
    expect(ask({ path: make() }, [1])).toEqual({ failed: "refused" });
  });
});

describeUnless(
  missing("Linux", "/usr/bin/python3", "root", "setpriv"),
  "askSocket() with the rights of the service",
  () => {
    test("connects with the user's rights to a socket that only this user can write to", async () => {
      const NOBODY = 65_534;
      const open = mkdtempSync(join(tmpdir(), "unix-nobody-"));
      try {
        chownSync(open, NOBODY, NOBODY);
        const path = join(open, "a.sock");
        // User 65534 cannot read the home directory of the user who runs the test.
        copyFileSync(script, join(open, "server.py"));
        const asNobody = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--"];
        const python = [...asNobody, "/usr/bin/python3", join(open, "server.py")];
        const { pid } = await serve({ path, answers: { "/v1/models": [200, "yes"] } }, python);
        expect(statSync(path).mode & 0o022).toBe(0);
        // The systemd unit of the agent has no CAP_DAC_OVERRIDE.
        const asService = ["setpriv", "--inh-caps=-all", "--bounding-set=-dac_override", "--"];
        const ask = [process.execPath, join(import.meta.dir, "../unix-ask.ts"), path, `${pid}`, `${NOBODY}`];
        const { stdout } = Bun.spawnSync([...asService, ...ask]);
        expect(JSON.parse(stdout.toString())).toMatchObject({ answer: { status: 200, body: "yes" } });
      } finally {
        rmSync(open, { recursive: true });
      }
    });
  },
);

describeUnless(missing("Linux", "python3"), "UnixSocketTable", () => {
  const processOf = (pid: number, argv: string[] = []): LinuxProcess =>
    ({
      pid,
      parentPid: 1,
      key: `${pid}`,
      name: "python3",
      argv,
      uid,
      virtualBytes: 0,
      residentBytes: 0,
      hidden: false,
      directory: `/proc/${pid}`,
    }) satisfies LinuxProcess;
  const newSockets = () =>
    new UnixSocketTable({ files: realFiles(), procRoot: "/proc", selfPid: process.pid });
  const named = async (name: string, argv: string[] = []) => {
    const path = join(mkdtempSync(join(directory, "d-")), name);
    const one = processOf((await serve({ path })).pid, argv);
    return newSockets().read([one], new Map([[one.pid, one]]));
  };

  test("finds the socket of a suspect by its inode, with the processes that possibly opened it", async () => {
    const path = newPath();
    const { pid } = await serve({ path });
    const parent = processOf(process.pid);
    const one = { ...processOf(pid), parentPid: process.pid };
    const other = processOf(process.pid);
    const processes = new Map([
      [pid, one],
      [process.pid, parent],
    ]);
    const sockets = newSockets();
    const first = sockets.read([one], processes);
    expect(first.listeners).toMatchObject([
      { pid, uid, unix: { name: path.slice(path.lastIndexOf("/") + 1), pids: [pid, process.pid], uid } },
    ]);
    expect(first.collector).toEqual({ name: "unix-sockets", status: "ok", detail: "1 unix sockets" });
    expect(sockets.read([one], processes).listeners).toBe(first.listeners);
    // This process is not a candidate for an engine.
    expect(sockets.read([other], processes).listeners).toEqual([]);
  });

  test.each([
    ["bus", "--host bus"],
    ["docker.sock", ""],
    ["agent.1234", "agent.1234"],
    ["ssh-agent.sock", ""],
    [".s.PGSQL.5432", ".s.PGSQL.5432"],
    ["plasma_store", "plasma_store"],
    ["raylet", "raylet"],
    ["X0", "X0"],
    ["redis.sock", ""],
    // The name of a ZeroMQ socket of vLLM, which appears in no command line.
    ["7f9c1c7e-7a55-4d4e-9d0c-6a3f5e0e6a11", ""],
  ])("never connects to the socket %s", async (name, word) => {
    expect((await named(name, word === "" ? [] : ["python3", word])).listeners).toEqual([]);
  });

  test.each([
    ["llama.sock", []],
    ["model-runner.sock", []],
    ["inference-runner-0.sock", []],
    ["docker-model-runner.sock", []],
    ["serve", ["uvicorn", "app:app", "--uds", "/run/x/serve"]],
  ] as [string, string[]][])("connects to the socket %s", async (name, argv) => {
    expect((await named(name, argv)).listeners).toHaveLength(1);
  });

  test("counts processes that it cannot read, but not processes that have ended", () => {
    const denied = Object.assign(new Error("denied"), { code: "EACCES" });
    const files: Files = {
      ...realFiles(),
      list: () => {
        throw denied;
      },
      text: () => "0000000065f2a269: 00000002 00000000 00010000 0001 01 1 /a.sock\n",
    };
    const one = processOf(process.pid + 1);
    const read = (of: Files) =>
      new UnixSocketTable({ files: of, procRoot: "/proc", selfPid: process.pid }).read([one], new Map())
        .collector;
    expect(read(files)).toEqual({
      name: "unix-sockets",
      status: "partial",
      detail: "unix sockets of 1 processes not readable",
    });
    denied.code = "ESRCH";
    expect(read(files).status).toBe("ok");
  });

  test("limits the number of sockets and counts the rest", () => {
    const inodes = Array.from({ length: UNIX_LISTENERS_MAX + 6 }, (_, at) => `${at + 1}`);
    const files: Files = {
      ...realFiles(),
      list: () => inodes,
      link: (path) =>
        path.endsWith("/ns/net") ? "net:[1]" : `socket:[${path.slice(path.lastIndexOf("/") + 1)}]`,
      text: () =>
        inodes
          .map((inode) => `00000000: 00000002 00000000 00010000 0001 01 ${inode} /run/${inode}.sock\n`)
          .join(""),
    };
    const one = processOf(process.pid + 1);
    const sockets = new UnixSocketTable({ files, procRoot: "/proc", selfPid: process.pid });
    const { listeners, collector } = sockets.read([one], new Map());
    expect(listeners).toHaveLength(UNIX_LISTENERS_MAX);
    expect(collector.detail).toBe("6 unix sockets not probed because of the limit of 64");
  });
});
