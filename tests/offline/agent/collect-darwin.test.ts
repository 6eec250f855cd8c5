import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { darwinHost } from "../../../agent/collect/darwin.ts";
import { realFiles } from "../../../agent/collect/files.ts";
import { parseLsof, tcpRowsOf } from "../../../agent/collect/lsof.ts";
import { parsePs, parsePsArguments } from "../../../agent/collect/ps.ts";
import type { Run } from "../../../agent/collect/run.ts";
import { ggufFile, HOLIDAY_PHOTOS } from "./scan-gguf.ts";

// Written in the form that ps(1) of macOS documents for `lstart` and `comm`.
const PS = `    1     0     0 root    12345 Fri Nov 21 08:00:01 2025 /sbin/launchd
  501     1   501 ada    900000 Fri Nov 21 09:15:00 2025 /Applications/LM Studio.app/Contents/MacOS/LM Studio
  777   501   501 ada     90000 Sat Nov  1 09:15:07 2025 /usr/local/bin/python3.12
not a row
`;
// Captured from lsof 4.95 (`lsof -nP -iTCP -F pftnT`); macOS writes the same fields.
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

test("parsePs() keeps executables with spaces whole and reads the start", () => {
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

test("parsePsArguments() gives the words of each command line", () => {
  expect(parsePsArguments("  777 python3 -m mlx_lm.server --port 8080\n")).toEqual(
    new Map([[777, ["python3", "-m", "mlx_lm.server", "--port", "8080"]]]),
  );
});

test("tcpRowsOf() reads listening and established sockets, IPv4 and IPv6, and leaves the rest", () => {
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

describe("darwinHost()", () => {
  const directory = mkdtempSync(join(tmpdir(), "collect-darwin-"));
  const weights = join(directory, "holiday photos.dat");
  writeFileSync(weights, ggufFile(HOLIDAY_PHOTOS as never));
  const files = `p777\nfcwd\ntDIR\nn/\nftxt\ntREG\nn${weights}\nf4\ntREG\nn/opt/homebrew/lib/libmlx.dylib\n`;
  const asked: string[][] = [];
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
    rmSync(directory, { recursive: true, force: true });
  });

  test("says what other users hide without root, and which tool failed", async () => {
    const snapshot = await host(run, 501).observe();
    expect(snapshot.collectors.find(({ name }) => name === "listeners")).toMatchObject({ status: "partial" });
    const blind = await host(() => Promise.reject(new Error("no such tool"))).observe();
    const failed = blind.collectors.filter(({ status }) => status === "failed").map(({ name }) => name);
    expect(failed).toEqual(["processes", "listeners"]);
  });
});
