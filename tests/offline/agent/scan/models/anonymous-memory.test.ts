import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createAnonymousMemoryTable,
  type MapTraces,
  parseHeldBytes,
  parseReadBytes,
  READS_PER_SCAN_MAX,
} from "../../../../../agent/scan/models/anonymous-memory.ts";
import { inProcessReader } from "../../../../../agent/scan/reader/file-reader.ts";
import type { ReadRequest } from "../../../../../agent/scan/reader/read-request.ts";
import { createReads } from "../../../../../agent/scan/reader-process/perform-reads.ts";
import { type Files, realFiles } from "../../../../../agent/scan/system/files.ts";
import type { LinuxProcess } from "../../../../../agent/scan/system/linux-process.ts";
import { createMounts } from "../../../../../agent/scan/system/mounts.ts";
import { ggufFile } from "../scan-gguf.ts";

const MIB = 1024 ** 2;
const GGML = ["/x/libggml.so"];

// Captured on Linux 6.18 (x86_64).
const STATUS = `Name:	python3
Uid:	1000	1000	1000	1000
VmRSS:	  499288 kB
RssAnon:	  381216 kB
RssFile:	  118072 kB
RssShmem:	       0 kB
VmSwap:	    1024 kB
`;
const IO = `rchar: 282401211
wchar: 19
syscr: 1563
syscw: 3
read_bytes: 4096
write_bytes: 0
cancelled_write_bytes: 0
`;

test("parseHeldBytes() adds swapped memory, and parseReadBytes() reads rchar", () => {
  expect(parseHeldBytes(STATUS)).toBe((381_216 + 1024) * 1024);
  expect(parseHeldBytes(STATUS.replace(/^VmSwap.*\n/m, ""))).toBe(381_216 * 1024);
  expect(parseReadBytes(IO)).toBe(282_401_211);
  // A kernel thread has no memory. A kernel without I/O accounting has no `/proc/PID/io`.
  expect(parseHeldBytes("Name:\tkthreadd\n")).toBeUndefined();
  expect(parseReadBytes("")).toBeUndefined();
});

describe("createAnonymousMemoryTable()", () => {
  let proc: string;
  let nowMs = 0;
  let processes: Map<number, LinuxProcess>;
  let libraries: Map<number, string[]>;
  let traces: Map<number, MapTraces>;
  let opened: string[];
  let asked: ReadRequest[];

  const write = (pid: number, heldMib: number, readMib: number | undefined): void => {
    writeFileSync(join(proc, `${pid}/status`), `RssAnon:\t${heldMib * 1024} kB\nVmSwap:\t0 kB\n`);
    if (readMib !== undefined) writeFileSync(join(proc, `${pid}/io`), `rchar: ${readMib * MIB}\n`);
  };
  const start = (pid: number, heldMib: number, readMib?: number, more: Partial<LinuxProcess> = {}): void => {
    const directory = join(proc, String(pid));
    mkdirSync(directory);
    write(pid, heldMib, readMib);
    processes.set(pid, {
      ...{ pid, parentPid: 1, key: `${pid}:1`, name: "python3", argv: [], directory },
      ...{ virtualBytes: 1, residentBytes: heldMib * MIB, hidden: false, ...more },
    });
    libraries.set(pid, GGML);
  };
  const table = () => {
    const real = realFiles();
    const files: Files = {
      ...real,
      text: (path, ...rest) => {
        opened.push(path);
        return real.text(path, ...rest);
      },
    };
    const perform = createReads(real);
    const created = createAnonymousMemoryTable({
      files,
      mounts: createMounts({ files: real, procRoot: proc }),
      reader: inProcessReader((request) => {
        asked.push(request);
        return perform(request);
      }),
      elapsed: () => nowMs,
    });
    return {
      read: () => created.read(processes, libraries, traces),
      after: (ms: number) => {
        nowMs += ms;
        return created.read(processes, libraries, traces);
      },
    };
  };

  beforeEach(() => {
    proc = mkdtempSync(join(tmpdir(), "anonymous-"));
    mkdirSync(join(proc, "self"));
    const mountinfo = [
      "22 1 254:0 / / rw - ext4 /dev/vda rw",
      `23 22 0:50 / ${proc}/remote rw - nfs4 s:/ rw`,
    ];
    writeFileSync(join(proc, "self/mountinfo"), `${mountinfo.join("\n")}\n`);
    nowMs = 0;
    processes = new Map();
    libraries = new Map();
    traces = new Map();
    opened = [];
    asked = [];
  });
  afterEach(() => rmSync(proc, { recursive: true }));

  test("reads only processes with a wanted library that are large enough", () => {
    start(10, 300, 200);
    start(11, 63, 500);
    start(12, 900, 900);
    libraries.delete(12);
    traces.set(10, { mapsGpu: true, earlier: [] });
    const { anonymous, collectors } = table().read();
    expect([...anonymous]).toEqual([
      [10, { heldBytes: 300 * MIB, readBytes: 200 * MIB, mapsGpu: true, earlier: [], nearby: [] }],
    ]);
    expect([collectors, opened]).toEqual([[], [join(proc, "10/status")]]);
  });

  test("reads a few processes per scan, reports how many are left, and reads each again only after a while", () => {
    for (let pid = 100; pid < 100 + READS_PER_SCAN_MAX + 3; pid += 1) start(pid, pid, 10);
    const one = table();
    const first = one.read();
    // The largest processes are read first. Process 100 is the smallest.
    expect([first.anonymous.size, first.anonymous.has(100)]).toEqual([READS_PER_SCAN_MAX, false]);
    expect(first.waiting).toEqual(["the next scan reads the memory of 3 processes"]);
    const second = one.after(1000);
    expect([second.anonymous.size, second.waiting]).toEqual([READS_PER_SCAN_MAX + 3, []]);
    expect(opened.length).toBe(READS_PER_SCAN_MAX + 3);
    one.after(1000);
    expect(opened.length).toBe(READS_PER_SCAN_MAX + 3);
    one.after(15_000);
    expect(opened.length).toBe(2 * READS_PER_SCAN_MAX + 3);
  });

  test("returns the same map until an amount differs by a quarter or the process has finished loading", () => {
    start(10, 300, 40);
    const one = table();
    const first = one.read().anonymous;
    expect(one.after(1000).anonymous).toBe(first);
    write(10, 350, 45);
    expect(one.after(15_000).anonymous).toBe(first);
    // The memory amounts are the same in two consecutive reads, so the process has finished loading.
    const loaded = one.after(15_000).anonymous;
    expect(loaded.get(10)).toMatchObject({ heldBytes: 350 * MIB, readBytes: 45 * MIB });
    write(10, 400, 50);
    expect(one.after(15_000).anonymous).toBe(loaded);
    expect(one.after(15_000).anonymous).toBe(loaded);
    write(10, 500, 50);
    expect(one.after(15_000).anonymous.get(10)).toMatchObject({ heldBytes: 500 * MIB });
  });

  test("forgets a process that has ended, executed another program or unloaded its library", () => {
    start(10, 300, 40);
    start(11, 300, 40);
    start(12, 300, 40);
    const one = table();
    expect([...one.read().anonymous.keys()]).toEqual([10, 11, 12]);
    processes.delete(10);
    libraries.delete(11);
    processes.set(12, { ...processes.get(12)!, key: "12:2", residentBytes: 1 });
    expect(one.after(1000).anonymous.size).toBe(0);
  });

  test("reports a kernel that does not count what processes read", () => {
    start(10, 300);
    const { anonymous, collectors } = table().read();
    expect(anonymous.get(10)).toMatchObject({ heldBytes: 300 * MIB, readBytes: 0 });
    expect(collectors).toMatchObject([{ name: "anonymous-memory", status: "partial" }]);
  });

  test("finds weights in the working directory and in directories of the command line, by content", async () => {
    const [work, models, remote] = ["work", "models", "remote"].map((name) => join(proc, name));
    for (const path of [work!, models!, remote!]) mkdirSync(path);
    const large = (path: string, start: Uint8Array): void => {
      writeFileSync(path, start);
      truncateSync(path, 80 * MIB);
    };
    const gguf = ggufFile({ "general.name": "holiday" });
    large(join(work!, "weights.dat"), gguf);
    large(join(work!, "not-weights.gguf"), new Uint8Array(64));
    writeFileSync(join(work!, "small.gguf"), gguf);
    mkdirSync(join(work!, "weights/too/deep"), { recursive: true });
    large(join(work!, "weights/below.dat"), gguf);
    large(join(work!, "weights/too/deep.dat"), gguf);
    large(join(models!, "b.bin"), gguf);
    large(join(remote!, "c.bin"), gguf);
    const argv = ["python3", "run.py", `--model=${models}/b.bin`, `${remote}/c.bin`, "https://x/y", "/b.bin"];
    start(10, 300, 200, { argv });
    symlinkSync(work!, join(proc, "10/cwd"));
    symlinkSync("/", join(proc, "10/root"));
    const one = table();
    expect(one.read().waiting).toEqual(["the directories of 1 processes are still being read"]);
    while (one.read().waiting.length > 0) await Bun.sleep(1);
    expect(one.read().anonymous.get(10)?.nearby).toEqual([
      { name: "weights.dat", sizeBytes: 80 * MIB, format: "gguf" },
      { name: "below.dat", sizeBytes: 80 * MIB, format: "gguf" },
      { name: "b.bin", sizeBytes: 80 * MIB, format: "gguf" },
    ]);
    // Remote file systems are never listed. Local directories are listed again only after ten minutes.
    expect(asked.map((request) => "path" in request && request.path)).toEqual([
      join(proc, "10/cwd"),
      `${join(proc, "10/root")}${models}`,
    ]);
    expect(one.read().collectors).toMatchObject([
      {
        status: "partial",
        detail: "could not read 1 directories that processes with an inference library use",
      },
    ]);
    one.after(60_000);
    expect(asked.length).toBe(2);
  });

  test("lists no directories of a process that has neither held nor read much", () => {
    start(10, 300, 63);
    expect(table().read().waiting).toEqual([]);
    expect(asked).toEqual([]);
  });
});
