import { describe, expect, test } from "bun:test";
import { parseComputeApps } from "../../../../../agent/scan/gpu/gpu.ts";
import { parseNetstat } from "../../../../../agent/scan/platform/netstat.ts";
import { windowsHost } from "../../../../../agent/scan/platform/windows.ts";
import {
  modulesScript,
  PROCESSES_SCRIPT,
  parseModules,
  parseReport,
  splitCommandLine,
} from "../../../../../agent/scan/system/cim.ts";
import { realFiles } from "../../../../../agent/scan/system/files.ts";
import type { Run } from "../../../../../agent/scan/system/run-tool.ts";

// The format is documented at learn.microsoft.com/windows-server/administration/windows-commands/netstat. The
// words are those of a German system, as in the tests of Checkmk's Windows agent. One word is encoded in the
// console's code page. The test shows that the parser does not depend on words.
const NETSTAT = `
Aktive Verbindungen

  Proto  Lokale Adresse         Remoteadresse          Status           PID
  TCP    0.0.0.0:135            0.0.0.0:0              ABHÖREN         1180
  TCP    127.0.0.1:11434        0.0.0.0:0              LISTENING       4242
  TCP    127.0.0.1:11434        127.0.0.1:50500        ESTABLISHED     4242
  TCP    127.0.0.1:50500        127.0.0.1:11434        HERGESTELLT     5151
  TCP    127.0.0.1:50501        127.0.0.1:11434        TIME_WAIT       0
  TCP    127.0.0.1:50502        127.0.0.1:11434        WARTEND         0
  TCP    127.0.0.1:50503        127.0.0.1:11434        SCHLIESSEN_WARTEN 5151
  TCP    127.0.0.1:50504        127.0.0.1:11434        SCHLIESSEND     5151
  TCP    127.0.0.1:50505        127.0.0.1:11434        FIN_WARTEN_2    5151
  TCP    0.0.0.0:49186          0.0.0.0:0              ABH\ufffdREN         1180
  UDP    0.0.0.0:5353           *:*                                    2000
`;
const NETSTAT_6 = `  TCP    [::]:8080              [::]:0                 LISTENING       5151\r
  TCP    [fe80::1%4]:139        [::]:0                 LISTENING       4\r
`;
const OLLAMA = String.raw`C:\Users\ada\AppData\Local\Programs\Ollama\ollama.exe`;
const GIB = 1024 ** 3;
const row = (p: number, n: string, rest: object) => ({
  p,
  q: 4,
  n,
  e: null,
  c: null,
  s: null,
  u: null,
  ...rest,
});
const PROCESSES = JSON.stringify({
  p: [
    row(0, "System Idle Process", { q: 0 }),
    row(4, "System", { q: 0, s: "2025-11-21T07:00:00.0000000Z" }),
    row(4242, "ollama.exe", {
      e: OLLAMA,
      c: `"${OLLAMA}" serve`,
      s: "2025-11-21T08:00:00.1234567Z",
      u: "DESKTOP-1\\ada",
    }),
    row(5151, "Code.exe", { e: "C:\\Code\\Code.exe", c: "Code.exe", s: "2025-11-21T08:01:00Z" }),
  ],
  // Instance names taken from forum.rainmeter.net/viewtopic.php?t=29135.
  g: [
    { n: "pid_4242_luid_0x00000000_0x000095CA_phys_0", d: 5 * GIB },
    { n: "pid_4242_luid_0x00000000_0x0000A18D_phys_0", d: GIB },
    { n: "pid_5151_luid_0x00000000_0x000095CA_phys_0", d: GIB },
  ],
});

test("parseNetstat() recognises listeners by their remote port in every display language", () => {
  const rows = [...parseNetstat(NETSTAT), ...parseNetstat(NETSTAT_6)];
  expect(rows.map((row) => [row.inode, row.state, row.localAddress, row.localPort, row.remotePort])).toEqual([
    ["1180", "listen", "0.0.0.0", 135, 0],
    ["4242", "listen", "127.0.0.1", 11_434, 0],
    ["4242", "established", "127.0.0.1", 11_434, 50_500],
    ["5151", "established", "127.0.0.1", 50_500, 11_434],
    ["1180", "listen", "0.0.0.0", 49_186, 0],
    ["5151", "listen", "::", 8080, 0],
    ["4", "listen", "fe80::1", 139, 0],
  ]);
});

test("parseReport() reads lists, a single object instead of a list of one, and a list inside an object (PowerShell 5.1)", () => {
  const { processes, gpuBytes } = parseReport(PROCESSES);
  expect(processes[1]).toEqual({
    pid: 4242,
    parentPid: 4,
    name: "ollama.exe",
    executable: OLLAMA,
    commandLine: `"${OLLAMA}" serve`,
    startedAtMs: Date.parse("2025-11-21T08:00:00.123Z"),
    user: "DESKTOP-1\\ada",
  });
  expect(gpuBytes).toEqual(
    new Map([
      [4242, 6 * GIB],
      [5151, GIB],
    ]),
  );
  const one = { pid: 7, parentPid: 1, name: "a.exe" };
  const single = { p: 7, q: 1, n: "a.exe", e: null, c: null, s: null, u: null };
  expect(parseReport(JSON.stringify({ p: single, g: null }))).toEqual({ processes: [one] });
  expect(parseReport(JSON.stringify({ p: { value: [single], Count: 1 }, g: [] }))).toEqual({
    processes: [one],
    gpuBytes: new Map(),
  });
  expect(() => parseReport("")).toThrow();
});

test("parseReport() skips counter instances without a pid and amounts that are not numbers", () => {
  const g = [
    { n: "_Total", d: 1 },
    { n: "pid_x_luid", d: 1 },
    { n: "pid_9_luid_0x0_0x1_phys_0", d: "-" },
    { n: null, d: 3 },
  ];
  expect(parseReport(JSON.stringify({ p: [], g })).gpuBytes).toEqual(new Map());
});

test("the scripts print only ASCII and read no translated names", () => {
  for (const script of [PROCESSES_SCRIPT, modulesScript([1, 2])]) {
    expect(script).toContain(String.raw`'[^\x00-\x7f]', { param($m) '\u{0:x4}' -f [int][char]$m.Value }`);
    expect(script).not.toContain('"');
    expect(script).not.toContain("Get-Counter");
  }
  // Output of the scripts' escaping for the names Jürgen and 模型.
  const text = String.raw`{"p":[{"p":7,"q":1,"n":"x","e":"C:\\J\u00fcrgen\\\u6a21\u578b.exe"}],"g":null}`;
  expect(parseReport(text).processes[0]!.executable).toBe("C:\\Jürgen\\模型.exe");
});

test("parseModules() returns the paths of each process", () => {
  expect(parseModules('{"p":[{"p":7,"m":["C:\\\\a\\\\ggml.dll",null]},{"p":8,"m":[]}]}')).toEqual(
    new Map([
      [7, ["C:\\a\\ggml.dll"]],
      [8, []],
    ]),
  );
});

test("splitCommandLine() groups by quotes and keeps backslashes of paths", () => {
  expect(splitCommandLine(`"C:\\Program Files\\x.exe" serve --name="a b" \\\\host\\share`)).toEqual([
    "C:\\Program Files\\x.exe",
    "serve",
    "--name=a b",
    "\\\\host\\share",
  ]);
});

test("parseComputeApps() adds up the memory of a process on several cards", () => {
  // Output of `nvidia-smi --query-compute-apps=pid,used_memory --format=csv,noheader,nounits`.
  expect(parseComputeApps("4242, 5000\n4242, 1000\n77, [N/A]\n\n")).toEqual(
    new Map([
      [4242, { bytes: 6000 * 1024 * 1024, computes: true }],
      [77, { bytes: 0, computes: true }],
    ]),
  );
});

describe("windowsHost()", () => {
  const asked: string[] = [];
  const run: Run = async (command) => {
    asked.push(command[0]!);
    if (command[0] === "netstat.exe") return command.includes("TCPv6") ? NETSTAT_6 : NETSTAT;
    if (command.at(-1)!.includes("Win32_Process")) return PROCESSES;
    return '{"p":{"p":4242,"m":["C:\\\\Ollama\\\\lib\\\\ggml.dll","C:\\\\Windows\\\\ntdll.dll"]}}';
  };
  const host = (tool: Run) =>
    windowsHost({
      files: realFiles(),
      run: tool,
      selfPid: 1,
      elapsed: () => performance.now(),
      isLibraryWanted: (path) => path.includes("ggml"),
    });

  test("joins processes, listeners, modules and clients, and runs PowerShell only if needed", async () => {
    const windows = host(run);
    const snapshot = await windows.observe();
    const listener = snapshot.listeners.find(({ port }) => port === 11_434)!;
    expect(listener).toMatchObject({ pid: 4242, reachableAt: "127.0.0.1" });
    expect(windows.peers([listener]).peers.get(listener.key)).toEqual([{ pid: 5151, connections: 1 }]);
    expect(windows.peers([listener]).collector).toEqual({
      name: "clients",
      status: "ok",
      detail: "Windows does not show the working directory of a client",
    });
    expect(snapshot.processes.get(4242)!.argv).toEqual([OLLAMA, "serve"]);
    expect(snapshot.libraries.get(4242)).toEqual(["C:\\Ollama\\lib\\ggml.dll"]);
    expect(snapshot.processes.get(4242)!.user).toBe("DESKTOP-1\\ada");
    expect(snapshot.collectors.find(({ name }) => name === "listeners")).toEqual({
      name: "listeners",
      status: "partial",
      detail: "did not probe 1 link-local listeners: their interface is unknown",
    });
    // A program with a window can use 1 GiB of GPU memory without a model.
    expect(snapshot.gpu).toEqual(new Map([[4242, { bytes: 6 * GIB }]]));
    expect(snapshot.collectors.find(({ name }) => name === "gpu")).toEqual({ name: "gpu", status: "ok" });
    asked.length = 0;
    await windows.observe();
    expect(asked).toEqual(["netstat.exe", "netstat.exe"]);
  });

  test("reports what Windows does not show and which tool failed", async () => {
    const snapshot = await host(run).observe();
    expect(snapshot.collectors.find(({ name }) => name === "weights")).toMatchObject({
      status: "unsupported",
    });
    expect(snapshot.collectors.find(({ name }) => name === "processes")).toEqual({
      name: "processes",
      status: "partial",
      detail: "this account cannot see the executables of 1 of 3 processes",
    });
    const bare = JSON.stringify({ p: [row(7, "a.exe", { e: "C:\\a.exe" })], g: null });
    const unprivileged = await host(async (command) =>
      command.at(-1)!.includes("Win32_Process") ? bare : '{"p":[]}',
    ).observe();
    expect(unprivileged.collectors.find(({ name }) => name === "processes")).toMatchObject({
      status: "partial",
      detail: "users are hidden without administrator rights",
    });
    expect(unprivileged.collectors.find(({ name }) => name === "gpu")).toMatchObject({
      status: "unsupported",
      detail: "this version of Windows does not report GPU memory per process",
    });
    const blind = await host(() => Promise.reject(new Error("blocked"))).observe();
    expect(blind.collectors.filter(({ status }) => status === "failed").map(({ name }) => name)).toEqual([
      "processes",
      "listeners",
      "libraries",
    ]);
  });
});
