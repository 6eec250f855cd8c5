import { afterAll, expect } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scanWhole } from "../../../../agent/cli/whole-scan.ts";
import { LASTING_MS } from "../../../../agent/scan/identify/lasting-weights.ts";
import { systemReaders } from "../../../../agent/scan/platform/system-readers.ts";
import { createScanner, type ScanResult } from "../../../../agent/scan/scan.ts";
import { LIMITS } from "../../../../shared/wire/heartbeat.ts";
import { missing, testUnless } from "../../../support/missing.ts";
import { ggufFile, HOLIDAY_PHOTOS } from "../scan/scan-gguf.ts";

const PYTHON = "/usr/bin/python3";
const FAKES = 72;
const NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
const MAP = `import mmap, sys
f = open(sys.argv[1], "rb"); m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ); f.close()
print("[]", flush=True); sys.stdin.read()`;

const directory = mkdtempSync(join(tmpdir(), "flood-"));
const children: { kill(): void }[] = [];
afterAll(() => {
  for (const child of children) child.kill();
  rmSync(directory, { recursive: true, force: true });
});

async function start(command: string[]): Promise<{ pid: number; pids: number[] }> {
  const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "ignore", cwd: "/" });
  children.push(child);
  const { value, done } = await child.stdout.getReader().read();
  if (done) throw new Error(`${command[0]} ended before it was ready`);
  return { pid: child.pid, pids: JSON.parse(new TextDecoder().decode(value)) as number[] };
}

testUnless(
  missing("Linux", "root", "setpriv", PYTHON),
  `${FAKES} servers that respond like Ollama do not displace a process with weights from the report, and all of them are contained`,
  async () => {
    const source = await Bun.file(join(import.meta.dir, "flood-server.py")).text();
    const path = join(directory, "notes.dat");
    writeFileSync(path, ggufFile(HOLIDAY_PHOTOS));
    const weights = await start([PYTHON, "-c", MAP, path]);
    const flood = await start([...NOBODY, PYTHON, "-c", source, String(FAKES)]);
    let laterMs = 0;
    const scanner = createScanner(
      systemReaders({
        platform: process.platform,
        procRoot: "/proc",
        selfPid: process.pid,
        homes: () => [],
        clock: Date.now,
        elapsed: () => performance.now() + laterMs,
      }),
    );
    let last: ScanResult | undefined;
    const noting = { scan: async () => (last = await scanner.scan()) };
    await scanWhole(noting, new AbortController().signal);
    // A process with model weights becomes a target of containment only if the weights stay mapped for this
    // time.
    laterMs = LASTING_MS;
    const { engines, collectors } = await scanWhole(noting, new AbortController().signal);
    expect(engines).toHaveLength(LIMITS.ENGINES_MAX);
    expect(engines.find(({ pid }) => pid === weights.pid)?.id).toBe("unknown-weights");
    const contained = new Set(last!.targets.certain.map(({ pid }) => pid));
    expect(flood.pids.filter((pid) => !contained.has(pid))).toEqual([]);
    expect(contained.has(weights.pid)).toBe(true);
    expect(collectors.find(({ name }) => name === "limits")?.detail).toMatch(
      /^\d+ of \d+ engines left out: \d+ ollama of nobody/,
    );
  },
  60_000,
);
