import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemReaders } from "../../../../agent/scan/platform/system-readers.ts";
import { createScanner, type ScanResult } from "../../../../agent/scan/scan.ts";
import { describeUnless, missing } from "../../../support/missing.ts";
import { ggufFile, HOLIDAY_PHOTOS } from "./scan-gguf.ts";

/* Test setup: real processes that hold weights in ways that are hard to detect. */

const directory = mkdtempSync(join(tmpdir(), "scan-hidden-"));
const children: { kill(): void }[] = [];
afterAll(() => {
  for (const child of children) child.kill();
  rmSync(directory, { recursive: true, force: true });
});

function weightsAt(...names: string[]): string {
  const path = join(directory, ...names);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, ggufFile(HOLIDAY_PHOTOS));
  return path;
}

/**
 * Returns the command of a Python process that maps the file at `path`. The code in `then` can use the
 * mapping as `memory`.
 */
const holding = (path: string, then: string, protection = "mmap.PROT_READ"): string[] => [
  "python3",
  "-c",
  [
    "import ctypes, mmap, os, socket, sys, threading, time",
    `file = open(${JSON.stringify(path)}, "rb")`,
    `memory = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=${protection})`,
    "file.close()",
    then,
  ].join("\n"),
];
const STAY = 'print("up", flush=True); time.sleep(120)';
/** System call exit(2), which ends only the first thread of the process, on x86-64 and arm64. */
const EXIT_THREAD = `
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
threading.Thread(target=time.sleep, args=(120,)).start()
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[os.uname().machine], 0)`;

async function start(command: readonly string[]): Promise<{ pid: number; line: string }> {
  const child = Bun.spawn([...command], { stdout: "pipe", stderr: "inherit" });
  children.push(child);
  const { value } = await child.stdout.getReader().read();
  return { pid: child.pid, line: new TextDecoder().decode(value).trim() };
}

async function scan(): Promise<ScanResult> {
  const scanner = createScanner(
    systemReaders({
      platform: process.platform,
      procRoot: "/proc",
      selfPid: process.pid,
      homes: () => [directory],
      clock: Date.now,
      elapsed: () => performance.now(),
    }),
  );
  let result = await scanner.scan();
  for (let scans = 1; result.waiting.length > 0 && scans < 20; scans += 1) result = await scanner.scan();
  return result;
}

describeUnless(missing("Linux", "root", "python3", "unshare", "mount"), "hidden weights", () => {
  test("are found in a process whose first thread has ended, with the port that it listens on", async () => {
    const { pid, line } = await start(holding(weightsAt("a.dat"), EXIT_THREAD));
    await Bun.sleep(200); // Wait until the thread has ended. No event reports its end.
    const found = (await scan()).engines.find((one) => one.pid === pid);
    expect(found).toMatchObject({ id: "unknown-weights", ports: [Number(line)] });
    expect(found?.executable).toContain("python3");
  });

  test("are found if their file is named like a library and mapped as code", async () => {
    const path = weightsAt("lib", "libz.so.1");
    const { pid } = await start(holding(path, STAY, "mmap.PROT_READ | mmap.PROT_EXEC"));
    expect((await scan()).engines.map((one) => one.pid)).toContain(pid);
  });

  test("are found at a path that only the process sees, and at a path that another file hides", async () => {
    const fonts = weightsAt("fonts", "a.ttf");
    const mounted = `mount --bind ${join(fonts, "..")} /usr/share && exec "$@"`;
    const own = ["unshare", "--mount", "sh", "-c", mounted, "sh"];
    const bound = await start([...own, ...holding("/usr/share/a.ttf", STAY)]);
    const covered = weightsAt("covered", "b.dat");
    const cover = `import subprocess; subprocess.run(["mount", "-t", "tmpfs", "none", ${JSON.stringify(join(covered, ".."))}], check=True)\n${STAY}`;
    const shadowed = await start(["unshare", "--mount", ...holding(covered, cover)]);
    const pids = (await scan()).engines.map((one) => one.pid);
    expect(pids).toContain(bound.pid);
    expect(pids).toContain(shadowed.pid);
  });
});
