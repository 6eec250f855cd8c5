import type { Collector } from "../../shared/wire/heartbeat.ts";
import type { GpuUse } from "./host.ts";

/** Runs a platform tool without a shell and gives its standard output; rejects when it fails or is late. */
export type Run = (
  command: readonly string[],
  limits: { timeoutMs: number; bytesMax: number },
) => Promise<string>;

/** The driver is asked rarely: one run of nvidia-smi costs more than a whole scan. */
const REFRESH_MS = 60_000;
const QUERY = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"];

export type GpuTable = { read(): { gpu: ReadonlyMap<number, GpuUse>; collector: Collector } };

/** GPU memory by process. Never waited for: a scan gets what the last finished run of the tool said. */
export function createGpuTable(deps: {
  run: Run;
  elapsed: () => number;
  isPresent: () => boolean;
}): GpuTable {
  let gpu: ReadonlyMap<number, GpuUse> = new Map();
  let collector: Collector = { name: "gpu", status: "partial", detail: "the driver has not been asked yet" };
  let nextAtMs = 0;
  return {
    read: () => {
      if (!deps.isPresent()) {
        const detail = "no NVIDIA driver; other vendors are not read yet";
        return { gpu, collector: { name: "gpu", status: "unsupported", detail } };
      }
      if (deps.elapsed() >= nextAtMs) {
        nextAtMs = deps.elapsed() + REFRESH_MS;
        void refresh();
      }
      return { gpu, collector };
    },
  };

  async function refresh(): Promise<void> {
    try {
      gpu = parseComputeApps(await deps.run(QUERY, { timeoutMs: 5000, bytesMax: 256 * 1024 }));
      collector = { name: "gpu", status: "ok" };
    } catch {
      collector = { name: "gpu", status: "failed", detail: "nvidia-smi failed" };
    }
  }
}

/** Lines `pid, MiB`; memory is `[N/A]` where the driver hides it (Windows WDDM, MIG). */
export function parseComputeApps(csv: string): Map<number, GpuUse> {
  const gpu = new Map<number, GpuUse>();
  for (const line of csv.split("\n")) {
    const [pid, mebibytes] = line.split(",").map((field) => field.trim());
    if (!pid || !/^\d+$/.test(pid)) continue;
    const bytes = /^\d+$/.test(mebibytes ?? "") ? Number(mebibytes) * 1024 * 1024 : 0;
    gpu.set(Number(pid), { bytes: (gpu.get(Number(pid))?.bytes ?? 0) + bytes });
  }
  return gpu;
}
