import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseDrmClient } from "../../../../../agent/scan/gpu/drm.ts";
import { createLinuxGpu, createNvidia } from "../../../../../agent/scan/gpu/gpu.ts";
import { type Files, realFiles } from "../../../../../agent/scan/system/files.ts";

const KIB = 1024;
const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

// Captured in github.com/Umio-Yasuno/amdgpu_top/issues/87.
const DESKTOP = `pos:	0
flags:	02104002
mnt_id:	24
ino:	614
pasid:	32784
drm-driver:	amdgpu
drm-pdev:	0000:08:00.0
drm-client-id:	217
drm-memory-vram:	2068 KiB
drm-memory-gtt: 	8192 KiB
drm-memory-cpu: 	0 KiB
drm-engine-gfx:	107322799 ns
`;
// The sizes are those of ollama's llama-server with a 24 GB model on a Radeon 890M:
// github.com/Syllo/nvtop/pull/492. The other lines are formatted as in
// drivers/gpu/drm/amd/amdgpu/amdgpu_fdinfo.c (Linux).
const OLLAMA = `drm-driver:	amdgpu
drm-pdev:	0000:c5:00.0
drm-client-id:	42
drm-memory-vram:	5348 KiB
drm-memory-gtt: 	25258000 KiB
drm-memory-cpu: 	777 KiB
amd-requested-gtt:	25258000 KiB
drm-engine-compute:	9123456789 ns
`;
// Example from docs.kernel.org/gpu/xe/xe-drm-usage-stats.html.
const XE = `pos:    0
flags:  0100002
mnt_id: 26
ino:    685
drm-driver:     xe
drm-client-id:  3
drm-pdev:       0000:03:00.0
drm-total-system:       0
drm-resident-system:    0
drm-total-gtt:  192 KiB
drm-shared-gtt: 0
drm-resident-gtt:       192 KiB
drm-total-vram0:        23992 KiB
drm-shared-vram0:       16 MiB
drm-active-vram0:       0
drm-resident-vram0:     23992 KiB
drm-total-stolen:       0
drm-resident-stolen:    0
drm-cycles-rcs: 28257900
drm-total-cycles-rcs:   7655183225
drm-cycles-ccs: 0
drm-total-cycles-ccs:   7655183225
drm-engine-capacity-ccs:        4
`;
// Formatted as in docs.kernel.org/gpu/drm-usage-stats.html. In i915, the memory region of a card is named
// local0.
const I915 = `drm-driver: i915
drm-client-id: 9
drm-pdev: 0000:03:00.0
drm-total-local0: 900 MiB
drm-resident-local0: 512 MiB
drm-engine-compute: 1 ns
`;
const EVENTFD = "pos:	0\nflags:	02004002\nmnt_id:	16\neventfd-count:                0\n";

describe("parseDrmClient()", () => {
  test.each([
    [
      "amdgpu, drawing",
      DESKTOP,
      { id: "0000:08:00.0 217", bytes: (2068 + 8192) * KIB, computes: false, draws: true },
    ],
    [
      "amdgpu, a model in the host's memory",
      OLLAMA,
      { id: "0000:c5:00.0 42", bytes: (5348 + 25_258_000) * KIB, computes: true, draws: false },
    ],
    [
      "xe, which has not computed",
      XE,
      { id: "0000:03:00.0 3", bytes: (192 + 23_992) * KIB, computes: false, draws: true },
    ],
    [
      "i915, resident rather than asked for",
      I915,
      { id: "0000:03:00.0 9", bytes: 512 * MIB, computes: true, draws: false },
    ],
    [
      "a driver that tells no resident memory",
      "drm-driver:\tmsm\ndrm-client-id:\t5\ndrm-total-memory:\t4096\n",
      { id: "msm 5", bytes: 4096, computes: false, draws: false },
    ],
  ])("reads %s", (_, text, client) => {
    expect(parseDrmClient(text)).toEqual(client);
  });

  test("ignores unknown units and cycle counters", () => {
    const odd = "drm-driver: xe\ndrm-client-id: 1\ndrm-resident-vram0: 7 parsec\ndrm-total-cycles-rcs: 9\n";
    expect(parseDrmClient(odd)).toEqual({ id: "xe 1", bytes: 0, computes: false, draws: false });
  });

  test.each([EVENTFD, "", "drm-driver: xe\n", "drm-client-id: 3\n"])("returns nothing for %p", (text) => {
    expect(parseDrmClient(text)).toBeUndefined();
  });
});

test("createNvidia() does not start a second nvidia-smi while the first one hangs", async () => {
  let started = 0;
  let nowMs = 0;
  const answers: ((csv: string) => void)[] = [];
  const run = () => {
    started += 1;
    return new Promise<string>((resolve) => answers.push(resolve));
  };
  const nvidia = createNvidia({ run, elapsed: () => nowMs, isPresent: () => true });
  for (; nowMs < 600_000; nowMs += 30_000) nvidia.read();
  expect(started).toBe(1);
  answers[0]!("7, 100\n");
  await Bun.sleep(0);
  expect([...nvidia.read()!.gpu.keys()]).toEqual([7]);
  expect(started).toBe(2);
});

describe("createLinuxGpu()", () => {
  const root = mkdtempSync(join(tmpdir(), "collect-gpu-"));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  let trees = 0;

  /** A fake host whose processes have these files open. Each file is given by its path and its fdinfo. */
  function host(open: Record<number, [path: string, fdinfo: string][]>, sys: Record<string, string> = {}) {
    trees += 1;
    const directory = join(root, String(trees));
    const put = (path: string, text: string) => {
      mkdirSync(join(path, ".."), { recursive: true });
      writeFileSync(path, text);
    };
    for (const [pid, files] of Object.entries(open)) {
      const at = join(directory, "proc", pid);
      mkdirSync(join(at, "fd"), { recursive: true });
      for (const [index, [path, fdinfo]] of files.entries()) {
        symlinkSync(path, join(at, "fd", String(index)));
        put(join(at, "fdinfo", String(index)), fdinfo);
      }
    }
    for (const [path, text] of Object.entries(sys)) put(join(directory, "sys", path), text);
    const state = { nowMs: 0, touched: [] as string[] };
    const real = realFiles();
    const list = (path: string): string[] => {
      state.touched.push(path);
      return real.list(path);
    };
    const files: Files = { ...real, list };
    const table = createLinuxGpu({
      files,
      run: () => Promise.reject(new Error("no tools here")),
      elapsed: () => state.nowMs,
      cpuMs: () => state.nowMs,
      procRoot: join(directory, "proc"),
      sysRoot: join(directory, "sys"),
    });
    return { table, state, directory };
  }
  const CARD = { "class/drm/renderD128/dev": "226:128\n" };
  const NODE = "/dev/dri/renderD128";

  test("reports the memory of a computing process once for all descriptors of a client", () => {
    const { table } = host(
      {
        10: [
          ["/dev/null", EVENTFD],
          [NODE, OLLAMA],
          [NODE, OLLAMA],
          [NODE, I915],
        ],
      },
      CARD,
    );
    expect(table.read(() => new Set([10]))).toEqual({
      gpu: new Map([[10, { bytes: (5348 + 25_258_000) * KIB + 512 * MIB, computes: true }]]),
      collector: { name: "gpu", status: "ok" },
    });
  });

  test.each([
    ["a window", DESKTOP, false],
    ["255 MiB that compute", I915.replace("512 MiB", "255 MiB"), false],
    ["256 MiB that compute", I915.replace("512 MiB", "256 MiB"), true],
    ["2047 MiB that only draw", I915.replace("512", "2047").replace("compute: 1", "compute: 0"), false],
    ["2048 MiB that only draw", I915.replace("512", "2048").replace("compute: 1", "compute: 0"), true],
  ])("memory of %s: %p %p", (_, fdinfo, expected) => {
    const { table } = host({ 10: [[NODE, fdinfo]] }, CARD);
    expect(table.read(() => new Set([10])).gpu.has(10)).toBe(expected);
  });

  test("distinguishes a program that only computes from a game, which also draws", () => {
    const game = OLLAMA.replace("drm-engine-compute", "drm-engine-gfx:\t5 ns\ndrm-engine-compute");
    const { table } = host({ 10: [[NODE, OLLAMA]], 11: [[NODE, game]] }, CARD);
    const { gpu } = table.read(() => new Set([10, 11]));
    expect(gpu.get(10)).toMatchObject({ computes: true });
    expect(gpu.get(11)).not.toHaveProperty("computes");
  });

  test("reads only candidates, and each at most once a minute", () => {
    const { table, state } = host({ 10: [[NODE, OLLAMA]], 11: [[NODE, OLLAMA]] }, CARD);
    expect([...table.read(() => new Set([11])).gpu.keys()]).toEqual([11]);
    state.touched = [];
    state.nowMs = 59_999;
    expect([...table.read(() => new Set([10, 11])).gpu.keys()]).toEqual([11]);
    expect(state.touched).toEqual([]);
    state.nowMs = 60_000;
    expect([...table.read(() => new Set([10, 11])).gpu.keys()].toSorted()).toEqual([10, 11]);
  });

  test("adds the memory that AMD's compute driver reports for all cards, even for processes that are not candidates", () => {
    // Bytes in decimal, formatted as in drivers/gpu/drm/amd/amdkfd/kfd_process.c (Linux).
    const kfd = {
      "class/kfd/kfd/proc/77/vram_51639": `${3 * GIB}\n`,
      "class/kfd/kfd/proc/77/vram_8123": `${GIB}\n`,
      "class/kfd/kfd/proc/77/pasid": "32770\n",
      "class/kfd/kfd/proc/78/vram_51639": "0\n",
      "class/kfd/kfd/proc/79/vram_51639": "many\n",
    };
    const { table } = host({}, { ...CARD, ...kfd });
    expect(table.read(() => new Set()).gpu).toEqual(new Map([[77, { bytes: 4 * GIB, computes: true }]]));
  });

  test("needs one directory listing a minute on a host without a GPU, and reports that there is none", () => {
    const { table, state, directory } = host({ 10: [] });
    const { gpu, collector } = table.read(() => new Set([10]));
    expect(gpu.size).toBe(0);
    expect(collector).toMatchObject({
      status: "unsupported",
      detail: "no GPU driver that reports memory per process",
    });
    table.read(() => new Set([10]));
    expect(state.touched).toEqual([join(directory, "sys/class/drm")]);
  });

  test("ignores a card without a render node, such as a console's card", () => {
    const { table } = host({ 10: [[NODE, OLLAMA]] }, { "class/drm/card0/dev": "226:0\n" });
    expect(table.read(() => new Set([10]))).toMatchObject({ collector: { status: "unsupported" } });
  });

  test("reports the number of unreadable processes", () => {
    const { table, directory } = host({ 10: [[NODE, OLLAMA]] }, CARD);
    chmodSync(join(directory, "proc/10/fd"), 0o000);
    const denied = process.getuid?.() !== 0;
    const { collector } = table.read(() => new Set([10]));
    // Root can read all processes, so the test simulates the denial.
    expect(collector.status).toBe(denied ? "partial" : "ok");
    chmodSync(join(directory, "proc/10/fd"), 0o700);
  });

  test("keeps its time limit, and reads the remaining processes first in the next scan", () => {
    const { table, state } = host(
      Object.fromEntries([1, 2, 3].map((pid) => [pid, [[NODE, OLLAMA]] as [string, string][]])),
      CARD,
    );
    const real = state.touched.push.bind(state.touched);
    // Every read takes 15 ms of processor time. The budget is 20 ms.
    state.touched.push = (...paths) => {
      if (paths[0]!.endsWith("/fd")) state.nowMs += 15;
      return real(...paths);
    };
    const first = table.read(() => new Set([1, 2, 3]));
    expect([...first.gpu.keys()]).toEqual([1, 2]);
    expect(first.collector).toMatchObject({ status: "partial", detail: "1 processes wait for a later scan" });
    state.nowMs = 60_000;
    expect([...table.read(() => new Set([1, 2, 3])).gpu.keys()]).toContain(3);
  });
});
