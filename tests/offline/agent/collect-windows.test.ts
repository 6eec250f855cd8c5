import { describe, expect, test } from "bun:test";
import { parseModules, parseProcesses, splitCommandLine } from "../../../agent/collect/cim.ts";
import { realFiles } from "../../../agent/collect/files.ts";
import { parseComputeApps } from "../../../agent/collect/gpu.ts";
import { parseNetstat } from "../../../agent/collect/netstat.ts";
import type { Run } from "../../../agent/collect/run.ts";
import { windowsHost } from "../../../agent/collect/windows.ts";

// In the form of learn.microsoft.com/windows-server/administration/windows-commands/netstat; the state of a
// listener is a German system's, to show that it is not read.
const NETSTAT = `
Aktive Verbindungen

  Proto  Lokale Adresse         Remoteadresse          Status           PID
  TCP    0.0.0.0:135            0.0.0.0:0              ABHÖREN         1180
  TCP    127.0.0.1:11434        0.0.0.0:0              LISTENING       4242
  TCP    127.0.0.1:11434        127.0.0.1:50500        ESTABLISHED     4242
  TCP    127.0.0.1:50500        127.0.0.1:11434        HERGESTELLT     5151
  TCP    127.0.0.1:50501        127.0.0.1:11434        TIME_WAIT       0
  UDP    0.0.0.0:5353           *:*                                    2000
`;
const NETSTAT_6 = `  TCP    [::]:8080              [::]:0                 LISTENING       5151\r
  TCP    [fe80::1%4]:139        [::]:0                 LISTENING       4\r
`;
const OLLAMA = String.raw`C:\Users\ada\AppData\Local\Programs\Ollama\ollama.exe`;
const PROCESSES = JSON.stringify([
  { p: 0, q: 0, n: "System Idle Process", e: null, c: null, s: null },
  { p: 4, q: 0, n: "System", e: null, c: null, s: "2025-11-21T07:00:00.0000000Z" },
  { p: 4242, q: 4, n: "ollama.exe", e: OLLAMA, c: `"${OLLAMA}" serve`, s: "2025-11-21T08:00:00.1234567Z" },
  { p: 5151, q: 4, n: "Code.exe", e: "C:\\Code\\Code.exe", c: "Code.exe", s: "2025-11-21T08:01:00Z" },
]);

test("parseNetstat() tells listeners by their remote port, on a system of any language", () => {
  const rows = [...parseNetstat(NETSTAT), ...parseNetstat(NETSTAT_6)];
  expect(rows.map((row) => [row.inode, row.state, row.localAddress, row.localPort, row.remotePort])).toEqual([
    ["1180", "listen", "0.0.0.0", 135, 0],
    ["4242", "listen", "127.0.0.1", 11_434, 0],
    ["4242", "established", "127.0.0.1", 11_434, 50_500],
    ["5151", "established", "127.0.0.1", 50_500, 11_434],
    ["5151", "listen", "::", 8080, 0],
    ["4", "listen", "fe80::1", 139, 0],
  ]);
});

test("parseProcesses() reads a list and the single object PowerShell 5.1 makes of one", () => {
  const [, ollama] = parseProcesses(PROCESSES);
  expect(ollama).toEqual({
    pid: 4242,
    parentPid: 4,
    name: "ollama.exe",
    executable: OLLAMA,
    commandLine: `"${OLLAMA}" serve`,
    startedAtMs: Date.parse("2025-11-21T08:00:00.123Z"),
  });
  expect(parseProcesses('{"p":7,"q":1,"n":"a.exe","e":null,"c":null,"s":null}')).toEqual([
    { pid: 7, parentPid: 1, name: "a.exe" },
  ]);
  expect(parseProcesses("")).toEqual([]);
});

test("parseModules() gives the paths of each process", () => {
  expect(parseModules('[{"p":7,"m":["C:\\\\a\\\\ggml.dll",null]},{"p":8,"m":[]}]')).toEqual(
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
  // nvidia-smi --query-compute-apps=pid,used_memory --format=csv,noheader,nounits
  expect(parseComputeApps("4242, 5000\n4242, 1000\n77, [N/A]\n\n")).toEqual(
    new Map([
      [4242, { bytes: 6000 * 1024 * 1024 }],
      [77, { bytes: 0 }],
    ]),
  );
});

describe("windowsHost()", () => {
  const asked: string[] = [];
  const run: Run = async (command) => {
    asked.push(command[0]!);
    if (command[0] === "netstat.exe") return command.includes("TCPv6") ? NETSTAT_6 : NETSTAT;
    if (command.at(-1)!.includes("Win32_Process")) return PROCESSES;
    return '{"p":4242,"m":["C:\\\\Ollama\\\\lib\\\\ggml.dll","C:\\\\Windows\\\\ntdll.dll"]}';
  };
  const host = (tool: Run) =>
    windowsHost({
      files: realFiles(),
      run: tool,
      selfPid: 1,
      elapsed: () => performance.now(),
      isLibraryWanted: (path) => path.includes("ggml"),
    });

  test("joins processes, listeners, modules and clients, and asks PowerShell only when it must", async () => {
    const windows = host(run);
    const snapshot = await windows.observe();
    const listener = snapshot.listeners.find(({ port }) => port === 11_434)!;
    expect(listener).toMatchObject({ pid: 4242, reachableAt: "127.0.0.1" });
    expect(windows.peers([listener]).peers.get(listener.key)).toEqual([{ pid: 5151, connections: 1 }]);
    expect(snapshot.processes.get(4242)!.argv).toEqual([OLLAMA, "serve"]);
    expect(snapshot.libraries.get(4242)).toEqual(["C:\\Ollama\\lib\\ggml.dll"]);
    asked.length = 0;
    await windows.observe();
    expect(asked).toEqual(["netstat.exe", "netstat.exe"]);
  });

  test("says what Windows does not show and which tool failed", async () => {
    const snapshot = await host(run).observe();
    expect(snapshot.collectors.find(({ name }) => name === "weights")).toMatchObject({
      status: "unsupported",
    });
    expect(snapshot.collectors.find(({ name }) => name === "processes")).toEqual({
      name: "processes",
      status: "partial",
      detail: "1 of 3 processes do not show their executable to this account",
    });
    const blind = await host(() => Promise.reject(new Error("blocked"))).observe();
    expect(blind.collectors.filter(({ status }) => status === "failed").map(({ name }) => name)).toEqual([
      "processes",
      "listeners",
      "libraries",
    ]);
  });
});
