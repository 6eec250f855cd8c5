import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { darwinHost } from "../../../../../agent/scan/platform/darwin.ts";
import { parseLsof, tcpRowsOf } from "../../../../../agent/scan/platform/lsof.ts";
import { parsePs, parsePsArguments } from "../../../../../agent/scan/platform/ps.ts";
import { realFiles } from "../../../../../agent/scan/system/files.ts";
import type { Run } from "../../../../../agent/scan/system/run-tool.ts";
import { ggufFile, HOLIDAY_PHOTOS } from "../scan-gguf.ts";

// Written by hand in the format that the ps(1) manual of macOS documents for `lstart` and `comm`.
const PS = `    1     0     0 root    12345 Fri Nov 21 08:00:01 2025 /sbin/launchd
  501     1   501 ada    900000 Fri Nov 21 09:15:00 2025 /Applications/LM Studio.app/Contents/MacOS/LM Studio
  777   501   501 ada     90000 Sat Nov  1 09:15:07 2025 /usr/local/bin/python3.12
not a row
`;
// Captured from lsof 4.95 (`lsof -nP -iTCP -F pftnT`). macOS writes the same fields.
const LSOF = `p501
f15
tIPv4
n127.0.0.1:1234
TST=LISTEN
TQR=0
TQS=0
f16
tIPv4
n127.0.0.1:1234->127.0.0.1:50500
TST=ESTABLISHED
p777
f9
tIPv4
n127.0.0.1:50500->127.0.0.1:1234
TST=ESTABLISHED
f10
tIPv6
n*:8080
TST=LISTEN
f11
tIPv6
n[::1]:8081
TST=LISTEN
f12
tIPv4
n127.0.0.1:50501->127.0.0.1:1
TST=SYN_SENT
`;

test("parsePs() keeps spaces in executables and reads the start time", () => {
  const rows = parsePs(PS);
  expect(rows.map(({ pid }) => pid)).toEqual([1, 501, 777]);
  expect(rows[1]).toEqual({
    pid: 501,
    parentPid: 1,
    uid: 501,
    user: "ada",
    residentBytes: 921_600_000,
    startedAtMs: new Date(2025, 10, 21, 9, 15, 0).getTime(),
    executable: "/Applications/LM Studio.app/Contents/MacOS/LM Studio",
  });
  expect(rows[2]!.startedAtMs).toBe(new Date(2025, 10, 1, 9, 15, 7).getTime());
});

test("parsePsArguments() splits each command line into words", () => {
  expect(parsePsArguments("  777 python3 -m mlx_lm.server --port 8080\n")).toEqual(
    new Map([[777, ["python3", "-m", "mlx_lm.server", "--port", "8080"]]]),
  );
});

test("tcpRowsOf() reads listening and established sockets, IPv4 and IPv6, and skips all others", () => {
  const rows = tcpRowsOf(parseLsof(LSOF));
  expect(
    rows.map(({ localAddress, localPort, state, inode }) => [inode, state, localAddress, localPort]),
  ).toEqual([
    ["501", "listen", "127.0.0.1", 1234],
    ["501", "established", "127.0.0.1", 1234],
    ["777", "established", "127.0.0.1", 50_500],
    ["777", "listen", "::", 8080],
    ["777", "listen", "::1", 8081],
  ]);
});

test("parsePs() accepts login shells, ended processes and unusual names of ps(1) on macOS, and skips broken rows", () => {
  const rows = parsePs(`  802   801   501 ada      1234 Thu Nov 20 09:15:00 2025 -zsh
  803   802   501 ada         0 Thu Nov 20 09:16:00 2025 (bash)
  804     1   258 _windowserver 55 Thu Nov 20 09:16:00 2025 /System/Library/A B.framework/WindowServer
  805     1   501 CORP\\ada 1 Mon Nov  3 23:59:59 2025 /Users/ada/Applications/模型 é.app/Contents/MacOS/é
  806     1   501 ada 12 Thu Nov 20 2025 /bin/x
  807     1   501 ada 12 jeu. 20 nov. 09:16:00 2025 /bin/x
`);
  expect(rows.map(({ pid, user, executable }) => [pid, user, executable])).toEqual([
    [802, "ada", "-zsh"],
    [803, "ada", "(bash)"],
    [804, "_windowserver", "/System/Library/A B.framework/WindowServer"],
    [805, "CORP\\ada", "/Users/ada/Applications/模型 é.app/Contents/MacOS/é"],
  ]);
  expect(rows[3]!.startedAtMs).toBe(new Date(2025, 10, 3, 23, 59, 59).getTime());
});

test("parseLsof() decodes the escapes that lsof writes in the locale of a daemon", () => {
  // Captured from lsof 4.95 for the same file: once with LC_ALL=C and once with LC_ALL=C.UTF-8.
  const daemon = "n/tmp/caf\\xc3\\xa9 \\\\back\\ttab \\xe6\\xa8\\xa1\\xe5\\x9e\\x8b.gguf";
  const person = "n/tmp/café \\\\back\\ttab 模型.gguf";
  for (const line of [daemon, person])
    expect(parseLsof(`p1\nftxt\ntREG\n${line}\n`)[0]!.name).toBe("/tmp/café \\back\ttab 模型.gguf");
  // `\q` and `^A` are not decoded, so the path stays unchanged.
  expect(parseLsof("p1\nftxt\nn/a\\qb^A\n")[0]!.name).toBe("/a\\qb^A");
});

test("tcpRowsOf() reads link-local addresses with the zone that macOS adds, and skips names without a port", () => {
  const text = `p99
f8
tIPv6
n[fe80:4::aede:48ff:fe00:1122]:49155->[fe80:4::aede:48ff:fe33:4455]:49162
TST=ESTABLISHED
f9
tIPv6
n[fe80:4::aede:48ff:fe00:1122]:8080
TST=LISTEN
f10
tIPv4
n*:*
TST=LISTEN
f11
tunix
n/tmp/a:80
`;
  expect(tcpRowsOf(parseLsof(text)).map((one) => [one.state, one.localAddress, one.localPort])).toEqual([
    ["established", "fe80:4::aede:48ff:fe00:1122", 49_155],
    ["listen", "fe80:4::aede:48ff:fe00:1122", 8080],
  ]);
});

describe("darwinHost()", () => {
  const directory = mkdtempSync(join(tmpdir(), "collect-darwin-"));
  const weights = join(directory, "holiday photos.dat");
  writeFileSync(weights, ggufFile(HOLIDAY_PHOTOS));
  const files = `p777\nfcwd\ntDIR\nn/Users/ada/work\nftxt\ntREG\nn${weights}\nf4\ntREG\nn/opt/homebrew/lib/libmlx.dylib\n`;
  afterAll(() => rmSync(directory, { recursive: true }));
  let asked: string[][];
  beforeEach(() => {
    asked = [];
  });
  const run: Run = async (command) => {
    asked.push([...command]);
    if (command.includes("pid=,args=")) return "777 python3 app.py\n";
    if (command.includes("/bin/ps")) return PS;
    return command.includes("-iTCP") ? LSOF : files;
  };
  const host = (tool: Run, selfPid = 1) =>
    darwinHost({
      files: realFiles(),
      run: tool,
      selfPid,
      elapsed: () => performance.now(),
      isLibraryWanted: (path) => path.includes("libmlx"),
    });

  test("joins processes, listeners, mapped weights, libraries and clients", async () => {
    const mac = host(run);
    const snapshot = await mac.observe();
    expect(snapshot.processes.get(777)).toMatchObject({
      argv: ["python3", "app.py"],
      user: "ada",
      parentPid: 501,
    });
    const listener = snapshot.listeners.find(({ port }) => port === 1234)!;
    expect(listener).toMatchObject({ pid: 501, reachableAt: "127.0.0.1" });
    expect(mac.peers([listener]).peers.get(listener.key)).toEqual([{ pid: 777, connections: 1 }]);
    expect(snapshot.weights.get(777)).toMatchObject([{ format: "gguf", how: "mapped", path: weights }]);
    expect(snapshot.libraries.get(777)).toEqual(["/opt/homebrew/lib/libmlx.dylib"]);
    expect(mac.workingDirectory(777)).toBe("/Users/ada/work");
    expect(mac.workingDirectory(501)).toBeUndefined();
    const named = { ...snapshot.processes.get(777)!, executable: "/opt/homebrew/Cellar/ollama/0.12.6/bin/x" };
    expect(mac.packageOf!(named)).toBe("ollama 0.12.6 (Homebrew)");
    symlinkSync(relative(directory, "/opt/homebrew/Cellar/mlx/1.0/bin/mlx"), join(directory, "mlx"));
    expect(mac.packageOf!({ ...named, executable: join(directory, "mlx") })).toBe("mlx 1.0 (Homebrew)");
    expect(mac.packageOf!(snapshot.processes.get(501)!)).toBeUndefined();
    expect(snapshot.collectors.map(({ name, status }) => [name, status])).toEqual([
      ["processes", "ok"],
      ["listeners", "ok"],
      ["weights", "ok"],
      ["libraries", "ok"],
      ["gpu", "unsupported"],
    ]);
  });

  test("lists the files of unchanged processes once", async () => {
    const mac = host(run);
    await mac.observe();
    asked.length = 0;
    await mac.observe();
    expect(asked.map((command) => command.at(-1))).toEqual(["pid=,ppid=,uid=,user=,rss=,lstart=,comm="]);
    expect(asked[0]!.slice(0, 4)).toEqual(["/usr/bin/env", "LC_ALL=", "LC_TIME=C", "LC_CTYPE=UTF-8"]);
  });

  test("reports what is hidden without root, and which tool failed", async () => {
    const snapshot = await host(run, 501).observe();
    expect(snapshot.collectors.find(({ name }) => name === "listeners")).toMatchObject({ status: "partial" });
    const blind = await host(() => Promise.reject(new Error("no such tool"))).observe();
    const failed = blind.collectors.filter(({ status }) => status === "failed").map(({ name }) => name);
    expect(failed).toEqual(["processes", "listeners"]);
  });
});
