import { type Files, optional } from "../system/files.ts";

const PROCESSES_MAX = 1024;

/**
 * GPU memory in bytes by pid, on AMD cards with ROCm. It is read from `/sys/class/kfd/kfd/proc/PID/vram_GPU`,
 * one file per card (Linux 5.10 and later, drivers/gpu/drm/amd/amdkfd/kfd_process.c).
 */
export function readKfdUse(deps: { files: Files; sysRoot: string }): Map<number, number> {
  const { files } = deps;
  const directory = `${deps.sysRoot}/class/kfd/kfd/proc`;
  const use = new Map<number, number>();
  const names = (optional(() => files.list(directory)) ?? []).filter((name) => /^\d+$/.test(name));
  for (const name of names.slice(0, PROCESSES_MAX)) {
    const cards = (optional(() => files.list(`${directory}/${name}`)) ?? []).filter((file) =>
      /^vram_\d+$/.test(file),
    );
    const sizes = cards.map((card) => Number(optional(() => files.text(`${directory}/${name}/${card}`, 64))));
    const bytes = sizes.filter(Number.isSafeInteger).reduce((sum, size) => sum + size, 0);
    if (bytes > 0) use.set(Number(name), bytes);
  }
  return use;
}
