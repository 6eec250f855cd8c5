import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMappedTable } from "../../../../../agent/scan/models/mapped-files.ts";
import { createProcessTable } from "../../../../../agent/scan/processes/process-table.ts";
import { inProcessReader } from "../../../../../agent/scan/reader/file-reader.ts";
import { createReads } from "../../../../../agent/scan/reader-process/perform-reads.ts";
import { type Files, realFiles } from "../../../../../agent/scan/system/files.ts";
import { hidesProcesses } from "../../../../../agent/scan/system/hidepid.ts";
import { createMounts } from "../../../../../agent/scan/system/mounts.ts";
import { ggufFile, HOLIDAY_PHOTOS } from "../scan-gguf.ts";

/* Test setup: a fake procfs of ordinary files, so that the tests can check which file is read in which scan. */

const directory = mkdtempSync(join(tmpdir(), "collect-processes-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const TICKS_AT_START = 100;
const BOOT_SECONDS = 1_763_762_400;
const NOW_MS = BOOT_SECONDS * 1000 + 600_000;

type Stat = { name?: string; parent?: number; ticks?: number; bytes?: number };
let proc = "";
let trees = 0;

function put(pid: number, { name = "sleep", parent = 1, ticks = 0, bytes = 1_000_000 }: Stat = {}): void {
  const at = join(proc, String(pid));
  mkdirSync(join(at, "ns"), { recursive: true });
  const cpu = `0 0 0 0 ${ticks} 0 0 0`;
  const stat = `${pid} (${name}) S ${parent} 1 1 0 -1 4194304 ${cpu} 20 0 1 0 ${TICKS_AT_START} ${bytes} 3 0\n`;
  writeFileSync(join(at, "stat"), stat);
  writeFileSync(join(at, "cmdline"), `/usr/bin/${name}\0`);
  writeFileSync(join(at, "status"), "Name:\tx\nUid:\t1000\t0\t0\t0\n");
  writeFileSync(join(at, "cgroup"), `0::/system.slice/docker-${"a".repeat(64)}.scope\n`);
  writeFileSync(join(at, "maps"), "");
  for (const [link, to] of [
    ["exe", `/usr/bin/${name}`],
    ["ns/net", "net:[1]"],
    ["root", "/"],
  ] as const) {
    rmSync(join(at, link), { force: true });
    symlinkSync(to, join(at, link));
  }
}

/** Wraps the real file operations and records each read, for example as `stat 12`. */
function noting(): { files: Files; read: string[] } {
  const real = realFiles();
  const read: string[] = [];
  const note = (path: string): void => {
    const [, pid, name] = /\/(\d+)\/(\w+)$/.exec(path) ?? [];
    if (pid) read.push(`${name} ${pid}`);
  };
  const files: Files = {
    ...real,
    line: (path) => {
      note(path);
      return real.line(path);
    },
    record: (path, ...rest) => {
      note(path);
      return real.record(path, ...rest);
    },
    text: (path, ...rest) => {
      note(path);
      return real.text(path, ...rest);
    },
  };
  return { files, read };
}

function table() {
  const { files, read } = noting();
  const users = new Map([[1000, { name: "ada" }]]);
  return { read, table: createProcessTable({ files, procRoot: proc, clock: () => NOW_MS, users }) };
}

beforeEach(() => {
  trees += 1;
  proc = join(directory, String(trees));
  mkdirSync(proc);
  writeFileSync(join(proc, "stat"), `btime ${BOOT_SECONDS}\n`);
  mkdirSync(join(proc, "self"));
  writeFileSync(join(proc, "self", "mountinfo"), "22 1 254:0 / / rw - ext4 /dev/root rw\n");
});

describe("createProcessTable()", () => {
  test("reads every process within two scans, and a quiet one within four", () => {
    for (const pid of [10, 11, 12, 13]) put(pid);
    const { read, table: processes } = table();
    processes.read();
    const looks = (scans: number): string[] => {
      read.length = 0;
      for (let scan = 0; scan < scans; scan += 1) processes.read();
      return read.filter((one) => one.startsWith("stat")).sort();
    };
    const all = ["stat 10", "stat 11", "stat 12", "stat 13"];
    expect(looks(2)).toEqual(all);
    expect(looks(2)).toEqual(all);
    expect(looks(4)).toEqual(all);
    expect(looks(4)).toEqual(all);
  });

  test("reads a process that wakes up in every second scan again", () => {
    put(10);
    const { read, table: processes } = table();
    for (let scan = 0; scan < 12; scan += 1) processes.read();
    read.length = 0;
    for (let scan = 1; scan <= 8; scan += 1) {
      put(10, { ticks: scan });
      processes.read();
    }
    // The process is read within the first four scans, and then in every second scan.
    expect(read.filter((one) => one === "stat 10").length).toBeGreaterThanOrEqual(3);
  });

  test("reads a process in the next scan if that is requested, and no other process", () => {
    for (const pid of [10, 11]) put(pid);
    const { read, table: processes } = table();
    for (let scan = 0; scan < 12; scan += 1) processes.read();
    // Find a scan in which neither process is due.
    while (true) {
      read.length = 0;
      processes.read();
      if (read.length === 0) break;
    }
    processes.hasten([11]);
    put(11, { name: "ollama" });
    read.length = 0;
    const { processes: found } = processes.read();
    expect(read).toContain("stat 11");
    expect(found.get(11)?.name).toBe("ollama");
  });

  test("returns the same map while the same programs run, and a new one after a start, an end or an exec", () => {
    put(10);
    put(11);
    const { table: processes } = table();
    const settled = (): ReturnType<typeof processes.read>["processes"] => {
      for (let scan = 0; scan < 4; scan += 1) processes.read();
      return processes.read().processes;
    };
    const first = settled();
    expect(settled()).toBe(first);
    put(10, { ticks: 5 });
    expect(settled()).toBe(first);
    put(12);
    const three = processes.read().processes;
    expect([...three.keys()].sort()).toEqual([10, 11, 12]);
    rmSync(join(proc, "11"), { recursive: true });
    const two = processes.read().processes;
    expect([...two.keys()].sort()).toEqual([10, 12]);
    put(10, { name: "llama-server" });
    expect(settled().get(10)?.name).toBe("llama-server");
    put(12, { parent: 10 });
    const moved = settled();
    expect(moved).not.toBe(two);
    expect(moved.get(12)?.parentPid).toBe(10);
  });

  test("returns new processes and those with a new size, each once", () => {
    put(10);
    put(11);
    const { table: processes } = table();
    expect(
      processes
        .read()
        .changed.map(({ pid }) => pid)
        .sort(),
    ).toEqual([10, 11]);
    put(11, { bytes: 9_000_000_000 });
    put(10, { ticks: 3 });
    const changed = [1, 2, 3, 4].flatMap(() => processes.read().changed.map(({ pid }) => pid));
    expect(changed).toEqual([11]);
  });

  test("reads user and container of a process only on access, and once", () => {
    put(10);
    put(11);
    const { read, table: processes } = table();
    const { processes: found } = processes.read();
    expect(read.filter((one) => /^(?:status|cgroup)/.test(one))).toEqual([]);
    expect(found.get(10)).toMatchObject({ uid: 1000, user: "ada", container: `docker:${"a".repeat(12)}` });
    expect(read.filter((one) => /^(?:status|cgroup)/.test(one))).toEqual(["status 10", "cgroup 10"]);
  });
});

describe("createProcessTable() with processes that are hard to see", () => {
  const now = () => NOW_MS;

  test("reads a process whose first thread has ended through another thread, and skips a zombie", () => {
    put(10);
    put(11);
    const stat = (pid: number, threads: number) =>
      `${pid} (sleep) Z 1 1 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 ${threads} 0 100 0 0 0\n`;
    writeFileSync(join(proc, "10", "stat"), stat(10, 1));
    writeFileSync(join(proc, "11", "stat"), stat(11, 3));
    const threads = join(proc, "11", "task");
    for (const tid of [11, 12, 13]) mkdirSync(join(threads, String(tid)), { recursive: true });
    const living = stat(13, 3).replace(" Z ", " S ").replace(" 100 0 0 ", " 100 70000 5 ");
    writeFileSync(join(threads, "11", "stat"), stat(11, 3));
    writeFileSync(join(threads, "12", "stat"), stat(12, 3).replace(" Z ", " X "));
    writeFileSync(join(threads, "13", "stat"), living);
    symlinkSync("/usr/bin/sleep", join(threads, "13", "exe"));
    const { processes } = table().table.read();
    expect([...processes.keys()]).toEqual([11]);
    expect(processes.get(11)).toMatchObject({
      executable: "/usr/bin/sleep",
      virtualBytes: 70_000,
      directory: join(threads, "13"),
    });
  });

  test("counts a process that is not readable (hidepid=1) and does not treat it as ended", () => {
    for (const pid of [10, 11]) put(pid);
    const { files } = noting();
    const line = (path: string) => {
      if (path.includes("/11/")) throw Object.assign(new Error(path), { code: "EPERM" });
      return files.line(path);
    };
    const options = { files: { ...files, line }, procRoot: proc, clock: now, users: new Map() };
    expect(createProcessTable(options).read().collector).toEqual({
      name: "processes",
      status: "partial",
      detail: "the agent has no permission to read 1 of 2 processes",
    });
  });

  const NOBODY = "CapEff:\t0000000000000000\nGid:\t9\t9\nGroups:\t9 10";
  test.each([
    ["rw,hidepid=invisible", NOBODY, true],
    ["rw,gid=10,hidepid=2", NOBODY, false],
    ["rw,gid=10,hidepid=ptraceable", NOBODY, true],
    ["rw,hidepid=invisible", NOBODY.replace("0000000000000000", "0000000000080000"), false],
    ["rw", NOBODY, false],
  ])("procfs mounted %s hides processes of other users from %j: %p", (options, status, isHidden) => {
    writeFileSync(join(proc, "self", "mountinfo"), `23 22 0:21 / ${proc} rw - proc proc ${options}\n`);
    writeFileSync(join(proc, "self", "status"), `${status}\n`);
    const { files } = noting();
    const mounts = createMounts({ files, procRoot: proc });
    const isHiding = () => hidesProcesses({ files, procRoot: proc, mounts });
    expect(isHiding()).toBe(isHidden);
    const table = createProcessTable({ files, procRoot: proc, clock: now, users: new Map(), isHiding });
    expect(table.read().collector.status).toBe(isHidden ? "partial" : "ok");
  });
});

describe("createMappedTable()", () => {
  const mapped = (files: Files, selfPid = 1, elapsed = () => 0) =>
    createMappedTable({
      files,
      procRoot: proc,
      selfPid,
      elapsed,
      cpuMs: elapsed,
      mounts: createMounts({ files, procRoot: proc }),
      reader: inProcessReader(createReads(files)),
      isWanted: (path) => path.includes("llama"),
    });
  const maps = (pid: number, text: string): void => writeFileSync(join(proc, String(pid), "maps"), text);
  const weights = join(directory, "weights.dat");
  writeFileSync(weights, ggufFile(HOLIDAY_PHOTOS));
  const INODE = statSync(weights).ino;
  const MAPPED = `7f9b21906000-7f9b21908000 r--s 00000000 fe:00 ${INODE} ${weights}\n`;
  const LIBRARY = "7f9b21906000-7f9b21908000 r-xp 00000000 fe:00 98 /usr/lib/libllama.so\n";

  test("reads the maps of a process with a new size, and returns the same maps while the findings are unchanged", async () => {
    for (const pid of [10, 11]) put(pid);
    maps(10, LIBRARY);
    const { files, read } = noting();
    const processes = createProcessTable({ files, procRoot: proc, clock: () => NOW_MS, users: new Map() });
    const table = mapped(files);
    const scan = () => {
      const { processes: found, changed } = processes.read();
      return table.read(found, changed);
    };
    const first = await scan();
    expect([...first.libraries]).toEqual([[10, ["/usr/lib/libllama.so"]]]);
    read.length = 0;
    put(11, { bytes: 2_000_000 });
    for (let at = 0; at < 4; at += 1) {
      const again = await scan();
      expect(again.libraries).toBe(first.libraries);
      expect(again.weights).toBe(first.weights);
    }
    expect(read.filter((one) => one.startsWith("maps"))).toEqual(["maps 11"]);
    put(11, { bytes: 3_000_000 });
    maps(11, MAPPED);
    for (let at = 0; at < 4; at += 1) await scan();
    const last = await scan();
    expect([...last.weights.keys()]).toEqual([11]);
    rmSync(join(proc, "11"), { recursive: true });
    expect([...(await scan()).weights.keys()]).toEqual([]);
  });

  test("recognises weights by content: mapped as code, named like a library or in a directory of fonts", async () => {
    const names = ["libz.so.1", "usr/share/fonts/a.ttf", "plain.dat"];
    for (const [at, name] of names.entries()) {
      const path = join(directory, "content", name);
      mkdirSync(join(path, ".."), { recursive: true });
      writeFileSync(path, ggufFile(HOLIDAY_PHOTOS));
      put(10 + at);
      // With READ_IMPLIES_EXEC (personality(2)), a program with an executable stack maps every readable file
      // as executable.
      maps(10 + at, `7f9b21906000-7f9b21908000 r-xs 00000000 fe:00 ${statSync(path).ino} ${path}\n`);
    }
    put(20);
    maps(20, `7f9b21906000-7f9b21908000 r-xs 00000000 fe:00 ${statSync("/bin/sh").ino} /bin/sh\n`);
    const { files } = noting();
    const processes = createProcessTable({ files, procRoot: proc, clock: () => NOW_MS, users: new Map() });
    const { processes: found, changed } = processes.read();
    expect([...(await mapped(files).read(found, changed)).weights.keys()].sort()).toEqual([10, 11, 12]);
  });

  test("start times follow the clock when it is set, because Linux derives the boot time from it", () => {
    put(10);
    const boot = (seconds: number) => writeFileSync(join(proc, "stat"), `cpu 1 2 3\nbtime ${seconds}\n`);
    boot(5);
    let nowMs = 60_000;
    const processes = createProcessTable({
      files: noting().files,
      procRoot: proc,
      clock: () => nowMs,
      users: new Map(),
    });
    const first = processes.read().processes;
    const fromBootMs = first.get(10)!.startedAtMs! - 5000;
    expect(processes.read().processes).toBe(first);
    nowMs = NOW_MS; // The clock was set by NTP.
    boot(NOW_MS / 1000 - 60);
    const second = processes.read().processes;
    expect(second).not.toBe(first);
    expect(second.get(10)!.startedAtMs).toBe(NOW_MS - 60_000 + fromBootMs);
    nowMs += 3600_000; // The machine slept. The boot time is unchanged.
    expect(processes.read().processes).toBe(second);
  });

  test("skips the agent itself", async () => {
    put(10);
    maps(10, MAPPED);
    const { files } = noting();
    const processes = createProcessTable({ files, procRoot: proc, clock: () => NOW_MS, users: new Map() });
    const { processes: found, changed } = processes.read();
    expect((await mapped(files, 10).read(found, changed)).weights.size).toBe(0);
    expect((await mapped(files, 11).read(found, changed)).weights.size).toBe(1);
  });

  test("has a budget of processor time, which does not decrease while other processes run", async () => {
    for (let pid = 10; pid < 60; pid += 1) put(pid);
    const { files } = noting();
    let nowMs = 0;
    let cpuMs = 0;
    const processes = createProcessTable({ files, procRoot: proc, clock: () => NOW_MS, users: new Map() });
    const table = createMappedTable({
      files,
      procRoot: proc,
      selfPid: 1,
      elapsed: () => (nowMs += 1000),
      cpuMs: () => (cpuMs += 0.01),
      mounts: createMounts({ files, procRoot: proc }),
      reader: inProcessReader(createReads(files)),
      isWanted: () => false,
    });
    const { processes: found, changed } = processes.read();
    expect((await table.read(found, changed)).collectors[0]).toEqual({ name: "weights", status: "ok" });
  });

  test("reads new and large processes first, and reports the number of waiting ones", async () => {
    put(9);
    const { files, read } = noting();
    const processes = createProcessTable({ files, procRoot: proc, clock: () => NOW_MS, users: new Map() });
    let cpuMs = 0;
    const table = mapped(files, 1, () => (cpuMs += 3));
    const first = processes.read();
    await table.read(first.processes, first.changed);
    for (let pid = 10; pid < 40; pid += 1) put(pid, { bytes: pid * 1_000_000 });
    const { processes: found, changed } = processes.read();
    read.length = 0;
    const [report] = (await table.read(found, changed)).collectors;
    const looked = read.filter((one) => one.startsWith("maps"));
    expect(looked[0]).toBe("maps 39");
    const left = 30 - looked.length;
    expect(left).toBeGreaterThan(0);
    const detail = `${left} changed processes wait for the next scan, ${left} of them were never read`;
    expect(report).toEqual({ name: "weights", status: "partial", detail });
    for (let scan = 0; scan < 3; scan += 1) await table.read(found, []);
    expect(read.filter((one) => one.startsWith("maps"))).toHaveLength(30);
  });

  test("yields to the event loop while it reads", async () => {
    for (let pid = 10; pid < 20; pid += 1) put(pid);
    const { files, read } = noting();
    let nowMs = 0;
    const processes = createProcessTable({ files, procRoot: proc, clock: () => NOW_MS, users: new Map() });
    const table = mapped(files, 1, () => (nowMs += 2));
    const { processes: found, changed } = processes.read();
    setImmediate(() => read.push("an answer"));
    await table.read(found, changed);
    const maps = read.filter((one) => one.startsWith("maps"));
    expect(maps.length).toBe(10);
    expect(read.indexOf("an answer")).toBeGreaterThan(0);
    expect(read.indexOf("an answer")).toBeLessThan(read.indexOf(maps.at(-1)!));
  });

  test("reads a file on a network mount in the reader process, and reports a mount that does not respond", async () => {
    writeFileSync(join(proc, "self", "mountinfo"), "30 22 254:0 / / rw,relatime - nfs4 nas:/ rw\n");
    for (const pid of [10, 11]) {
      put(pid);
      maps(pid, MAPPED);
    }
    const { files } = noting();
    const here: string[] = [];
    const asked: ((outcome: object) => void)[] = [];
    let isAnswering = true;
    const table = createMappedTable({
      files: {
        ...files,
        facts: (path) => {
          here.push(path);
          return files.facts(path);
        },
      },
      procRoot: proc,
      selfPid: 1,
      elapsed: () => 0,
      cpuMs: () => 0,
      mounts: createMounts({ files, procRoot: proc }),
      reader: {
        ask: <Value>() => new Promise<Value>((resolve) => asked.push(resolve as (outcome: unknown) => void)),
        isAnswering: () => isAnswering,
      },
      isWanted: () => false,
    });
    const processes = createProcessTable({ files, procRoot: proc, clock: () => NOW_MS, users: new Map() });
    const { processes: found, changed } = processes.read();
    const look = async () => (await table.read(found, changed)).collectors[0]!.detail;
    const answer = async (outcome: object) => {
      asked.shift()!(outcome);
      await Bun.sleep(0);
    };
    expect(await look()).toBe("2 files wait for the next scan");
    expect([here, asked.length]).toEqual([[], 1]);
    isAnswering = false;
    await answer({ miss: "unanswered" });
    expect(await look()).toBe("could not read 2 mapped files: the nfs4 file system does not respond");
    isAnswering = true;
    await look();
    await answer({ value: { format: "gguf", sizeBytes: 1 } });
    expect([...(await table.read(found, [])).weights.keys()].sort()).toEqual([10, 11]);
    expect(await look()).toBeUndefined();
  });

  test("counts an unreadable file as unread, and tries again", async () => {
    put(10);
    maps(10, MAPPED);
    const { files } = noting();
    let nowMs = 0;
    let isClosed = true;
    const facts = (path: string) => {
      if (isClosed) throw Object.assign(new Error(path), { code: "EACCES" });
      return files.facts(path);
    };
    const processes = createProcessTable({ files, procRoot: proc, clock: () => NOW_MS, users: new Map() });
    const table = mapped({ ...files, facts }, 1, () => nowMs);
    const { processes: found, changed } = processes.read();
    expect((await table.read(found, changed)).collectors[0]).toEqual({
      name: "weights",
      status: "partial",
      detail: "could not read 1 mapped or open files",
    });
    isClosed = false;
    nowMs += 60_000;
    const later = await table.read(found, []);
    expect(later.collectors[0]).toEqual({ name: "weights", status: "ok" });
    expect([...later.weights.keys()]).toEqual([10]);
  });

  test("reports memory maps that are too long to be read completely", async () => {
    put(10);
    maps(10, MAPPED.repeat(2).trimEnd());
    const { files } = noting();
    const processes = createProcessTable({ files, procRoot: proc, clock: () => NOW_MS, users: new Map() });
    const { processes: found, changed } = processes.read();
    expect((await mapped(files).read(found, changed)).collectors[0]).toMatchObject({ status: "partial" });
  });

  test("does not confuse another file at the same path with the mapped file", async () => {
    put(10);
    const shadow = join(directory, "shadow.dat");
    writeFileSync(shadow, "mounted over the weights, and long enough for a header");
    maps(10, `7f9b21906000-7f9b21908000 r--s 00000000 fe:00 ${INODE} ${shadow}\n`);
    const { files } = noting();
    const processes = createProcessTable({ files, procRoot: proc, clock: () => NOW_MS, users: new Map() });
    const { processes: found, changed } = processes.read();
    expect((await mapped(files).read(found, changed)).collectors[0]!.status).toBe("partial");
    mkdirSync(join(proc, "10", "map_files"));
    symlinkSync(weights, join(proc, "10", "map_files", "7f9b21906000-7f9b21908000"));
    expect([...(await mapped(files).read(found, changed)).weights.keys()]).toEqual([10]);
  });

  test("distinguishes files at the same path by identity, and files with the same identity by path", async () => {
    for (const pid of [10, 11, 12]) put(pid);
    const other = join(directory, "other.dat");
    writeFileSync(other, "no weights, but long enough for a header");
    writeFileSync(
      join(proc, "self", "mountinfo"),
      "22 1 254:0 / / rw - ext4 /dev/root rw\n23 22 254:1 / /x rw - ext4 /dev/x rw\n",
    );
    maps(10, MAPPED.replace(weights, other).replace(` ${INODE} `, ` ${statSync(other).ino} `));
    maps(11, MAPPED);
    maps(12, MAPPED.replace("fe:00", "fe:01"));
    const { files } = noting();
    const processes = createProcessTable({ files, procRoot: proc, clock: () => NOW_MS, users: new Map() });
    const { processes: found, changed } = processes.read();
    expect([...(await mapped(files).read(found, changed)).weights.keys()].sort()).toEqual([11, 12]);
  });

  test("reads every process within the time limit, even if the changes of others are larger", async () => {
    const crowd = Array.from({ length: 30 }, (_, at) => at + 100);
    for (const pid of [10, ...crowd]) put(pid);
    const { files, read } = noting();
    let nowMs = 0;
    let stepMs = 0;
    const processes = createProcessTable({ files, procRoot: proc, clock: () => NOW_MS, users: new Map() });
    const table = mapped(files, 1, () => (nowMs += stepMs));
    const all = processes.read();
    await table.read(all.processes, all.changed);
    stepMs = 1000;
    read.length = 0;
    const small = all.processes.get(10)!;
    const others = crowd.map((pid) => all.processes.get(pid)!);
    small.virtualBytes += 4096;
    for (let scan = 1; scan <= 4; scan += 1) {
      for (const process of others) process.virtualBytes += 10_000_000;
      await table.read(all.processes, scan === 1 ? [small, ...others] : others);
    }
    expect(read).toContain("maps 10");
  });
});
