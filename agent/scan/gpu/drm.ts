import { attempt, type Files, optional } from "../system/files.ts";
import type { GpuUse } from "../system/host.ts";

/*
 * Reads the GPU memory of a process from the `/proc/PID/fdinfo` of its open DRM files. amdgpu, i915, xe,
 * nouveau and other drivers support this format (https://docs.kernel.org/gpu/drm-usage-stats.html).
 */

/** One DRM client of one graphics card. Several descriptors can belong to the same client. */
export type DrmClient = {
  /** Identifier of card and client, unique on the host. */
  id: string;
  /** Resident GPU memory in bytes. If the card has no memory of its own, resident memory of the host. */
  bytes: number;
  /** True if the client has used a compute engine of the card. */
  computes: boolean;
  /** True if the client has used a render engine of the card. */
  draws: boolean;
};

const UNITS: Record<string, number> = { "": 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
/** Compute engines of amdgpu and i915 (`compute`) and of xe (`ccs`). */
const COMPUTE = /^drm-(?:engine-compute|cycles-ccs)$/;
/** Render engines of amdgpu (`gfx`), i915 (`render`) and xe (`rcs`). */
const DRAW = /^drm-(?:engine-gfx|engine-render|cycles-rcs)$/;

/** Parses an fdinfo file. Undefined if it does not belong to a DRM file. */
export function parseDrmClient(fdinfo: string): DrmClient | undefined {
  const fields = new Map<string, string>();
  for (const line of fdinfo.split("\n")) {
    const colon = line.indexOf(":");
    if (line.startsWith("drm-") && colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const client = fields.get("drm-client-id");
  if (!fields.has("drm-driver") || client === undefined) return undefined;
  const bytes = residentBytes(fields);
  const has = (engine: RegExp): boolean =>
    [...fields].some(([key, value]) => engine.test(key) && Number.parseInt(value, 10) > 0);
  const id = `${fields.get("drm-pdev") ?? fields.get("drm-driver")} ${client}`;
  return { id, bytes, computes: has(COMPUTE), draws: has(DRAW) };
}

/**
 * Adds up the resident memory of all regions. amdgpu uses the key `memory` for it. If a driver does not
 * report resident memory, the allocated memory (`total`) is used.
 */
function residentBytes(fields: ReadonlyMap<string, string>): number {
  const regions = new Map<string, number>();
  for (const kind of ["total", "memory", "resident"]) {
    for (const [key, value] of fields) {
      const region = key.startsWith(`drm-${kind}-`) ? key.slice(`drm-${kind}-`.length) : "cycles-";
      // `drm-total-cycles-*` is a time and not an amount of memory. The `cpu` region of amdgpu is memory that
      // was evicted from the card.
      if (!region.startsWith("cycles-") && region !== "cpu") regions.set(region, sizeOf(value));
    }
  }
  return [...regions.values()].reduce((sum, size) => sum + size, 0);
}

/** Parses `25258000 KiB`. A number without a unit is in bytes. */
function sizeOf(value: string): number {
  const [, number, unit = ""] = /^(\d+)(?: (\w+))?$/.exec(value) ?? [];
  return number === undefined ? 0 : Number(number) * (UNITS[unit] ?? 0);
}

const DESCRIPTORS_MAX = 4096;
const FDINFO_BYTES_MAX = 8192;
/** Minimum GPU memory that indicates a model, for a process that computes on the card. */
export const COMPUTING_BYTES_MIN = 256 * 1024 ** 2;
/**
 * Minimum GPU memory that indicates a model, for a process that only draws. Every program with a window draws
 * with the card.
 */
const DRAWING_BYTES_MIN = 2 * 1024 ** 3;

/**
 * GPU memory of a process if the amount indicates a model, else 0 bytes. Undefined if the process's open
 * files are not readable.
 */
export function readDrmUse(deps: { files: Files; procRoot: string }, pid: number): GpuUse | undefined {
  const { files } = deps;
  const directory = `${deps.procRoot}/${pid}`;
  const listing = attempt(() => files.list(`${directory}/fd`));
  if (!("value" in listing)) return listing.miss === "denied" ? undefined : { bytes: 0 };
  const clients = new Map<string, DrmClient>();
  for (const descriptor of listing.value.slice(0, DESCRIPTORS_MAX)) {
    const path = optional(() => files.link(`${directory}/fd/${descriptor}`));
    if (!path?.startsWith("/dev/dri/")) continue;
    const text = optional(() => files.text(`${directory}/fdinfo/${descriptor}`, FDINFO_BYTES_MAX, "latin1"));
    const client = text === undefined ? undefined : parseDrmClient(text);
    if (client) clients.set(client.id, client);
  }
  const all = [...clients.values()];
  const bytes = all.reduce((sum, client) => sum + client.bytes, 0);
  const isComputing = all.some(({ computes }) => computes);
  if (bytes < (isComputing ? COMPUTING_BYTES_MIN : DRAWING_BYTES_MIN)) return { bytes: 0 };
  return { bytes, ...(isComputing && !all.some(({ draws }) => draws) && { computes: true }) };
}
