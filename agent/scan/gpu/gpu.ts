import type { Collector } from "../../../shared/wire/heartbeat.ts";
import { type Files, optional } from "../system/files.ts";
import type { GpuUse } from "../system/host.ts";
import type { Run } from "../system/run-tool.ts";
import { readDrmUse } from "./drm.ts";
import { readKfdUse } from "./kfd.ts";

/** Interval between two reads of the GPU memory. One run of nvidia-smi takes more time than a whole scan. */
const REFRESH_MS = 60_000;
const QUERY = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"];

/** GPU memory by pid. */
export type GpuMemory = { gpu: ReadonlyMap<number, GpuUse>; collector: Collector };
/**
 * `candidates` returns the pids of the processes to read. It is used with drivers that report memory only per
 * process.
 */
export type GpuTable = { read(candidates: () => ReadonlySet<number>): GpuMemory };

const NO_GPU: GpuMemory = {
  gpu: new Map(),
  collector: { name: "gpu", status: "unsupported", detail: "no GPU driver that reports memory per process" },
};

/**
 * Reads GPU memory per process with nvidia-smi. `read` never waits and returns the result of the last finished
 * run. `read` returns undefined if NVIDIA's driver is not present.
 */
export function createNvidia(deps: { run: Run; elapsed: () => number; isPresent: () => boolean }): {
  read(): GpuMemory | undefined;
} {
  let gpu: ReadonlyMap<number, GpuUse> = new Map();
  let collector: Collector = { name: "gpu", status: "partial", detail: "nvidia-smi has not run yet" };
  let nextAtMs = 0;
  let isRunning = false;
  return {
    read: () => {
      if (!deps.isPresent()) return undefined;
      // If the driver hangs, nvidia-smi cannot be killed. Therefore at most one instance of nvidia-smi runs.
      if (deps.elapsed() >= nextAtMs && !isRunning) {
        nextAtMs = deps.elapsed() + REFRESH_MS;
        void refresh();
      }
      return { gpu, collector };
    },
  };

  async function refresh(): Promise<void> {
    isRunning = true;
    try {
      gpu = parseComputeApps(await deps.run(QUERY, { timeoutMs: 5000, bytesMax: 256 * 1024 }));
      collector = { name: "gpu", status: "ok" };
    } catch {
      collector = { name: "gpu", status: "failed", detail: "nvidia-smi failed" };
    } finally {
      isRunning = false;
    }
  }
}

/** Parses lines `pid, MiB`. The memory is `[N/A]` if the driver does not report it (Windows WDDM, MIG). */
export function parseComputeApps(csv: string): Map<number, GpuUse> {
  const gpu = new Map<number, GpuUse>();
  for (const line of csv.split("\n")) {
    const [pid, mebibytes] = line.split(",").map((field) => field.trim());
    if (!pid || !/^\d+$/.test(pid)) continue;
    const bytes = /^\d+$/.test(mebibytes ?? "") ? Number(mebibytes) * 1024 * 1024 : 0;
    gpu.set(Number(pid), { bytes: (gpu.get(Number(pid))?.bytes ?? 0) + bytes, computes: true });
  }
  return gpu;
}

/** Budget of processor time in milliseconds for one read of the candidates' open files. */
const READ_MS_MAX = 20;

/**
 * GPU memory per process on Linux, from nvidia-smi, AMD's compute driver (KFD) and the fdinfo of other
 * drivers. GPU memory is read once a minute. On a host without a GPU, a read is one failed directory listing.
 */
export function createLinuxGpu(deps: {
  files: Files;
  run: Run;
  elapsed: () => number;
  cpuMs: () => number;
  procRoot: string;
  sysRoot: string;
}): GpuTable {
  const { files, procRoot, sysRoot } = deps;
  const nvidia = createNvidia({
    ...deps,
    isPresent: () => optional(() => files.facts(`${procRoot}/driver/nvidia/version`)) !== undefined,
  });
  let drm = new Map<number, GpuUse | undefined>();
  let kernel: GpuMemory | undefined;
  let nextAtMs = 0;
  return {
    read: (candidates) => {
      if (deps.elapsed() >= nextAtMs) {
        nextAtMs = deps.elapsed() + REFRESH_MS;
        kernel = hasRenderNode() ? readKernel(candidates()) : undefined;
      }
      const known = [nvidia.read(), kernel].filter((one) => one !== undefined);
      return known.length > 1 ? merge(known) : (known[0] ?? NO_GPU);
    },
  };

  function hasRenderNode(): boolean {
    return (optional(() => files.list(`${sysRoot}/class/drm`)) ?? []).some((name) => /^renderD\d/.test(name));
  }

  function readKernel(candidates: ReadonlySet<number>): GpuMemory {
    const startedAtMs = deps.cpuMs();
    const before = drm;
    drm = new Map();
    let left = 0;
    // Processes that the last read did not reach come first.
    const order = [...candidates].sort((a, b) => Number(before.has(a)) - Number(before.has(b)));
    for (const pid of order) {
      if (deps.cpuMs() - startedAtMs <= READ_MS_MAX) drm.set(pid, readDrmUse(deps, pid));
      else left += 1;
    }
    const gpu = new Map<number, GpuUse>();
    for (const [pid, use] of drm) if (use && use.bytes > 0) gpu.set(pid, use);
    // Newer kernels report the same memory in KFD and in fdinfo.
    for (const [pid, bytes] of readKfdUse(deps))
      gpu.set(pid, { bytes: Math.max(bytes, gpu.get(pid)?.bytes ?? 0), computes: true });
    return { gpu, collector: report([...drm.values()].filter((use) => use === undefined).length, left) };
  }
}

function report(denied: number, left: number): Collector {
  const problems = [
    ...(denied > 0 ? [`the agent has no permission to read the open files of ${denied} processes`] : []),
    ...(left > 0 ? [`${left} processes wait for a later scan`] : []),
  ];
  if (problems.length === 0) return { name: "gpu", status: "ok" };
  return { name: "gpu", status: "partial", detail: problems.join("; ") };
}

const RANK = { ok: 0, unsupported: 1, partial: 2, failed: 3 } as const;

/** Merges the reports about cards of several vendors. Adds up the memory, and keeps the worst collector status. */
function merge(known: readonly GpuMemory[]): GpuMemory {
  const gpu = new Map<number, GpuUse>();
  for (const one of known)
    for (const [pid, use] of one.gpu)
      gpu.set(pid, { ...gpu.get(pid), ...use, bytes: use.bytes + (gpu.get(pid)?.bytes ?? 0) });
  const [worst] = known.map(({ collector }) => collector).sort((a, b) => RANK[b.status] - RANK[a.status]);
  return { gpu, collector: worst! };
}
