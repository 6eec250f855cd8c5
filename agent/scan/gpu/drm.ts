import { attempt, type Files, optional } from "../system/files.ts";
import type { GpuUse } from "../system/host.ts";

/*
 * GPU memory of a process from what its open DRM files say of themselves in `/proc/PID/fdinfo`: amdgpu, i915, xe,
 * nouveau and others (https://docs.kernel.org/gpu/drm-usage-stats.html).
 */

/** One client of one card. Several descriptors may belong to the same. */
export type DrmClient = {
  /** Card and number of the client: unique on a host. */
  id: string;
  /** Memory that is resident on behalf of it: the card's own, or the host's where the card has none. */
  bytes: number;
  /** It let the card compute, not only draw. */
  computes: boolean;
  /** It let the card draw. */
  draws: boolean;
};

const UNITS: Record<string, number> = { "": 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
/** The names that amdgpu and i915 (`compute`) and xe (`ccs`) give their compute engines. */
const COMPUTE = /^drm-(?:engine-compute|cycles-ccs)$/;
/** What they call those that draw: amdgpu (`gfx`), i915 (`render`) and xe (`rcs`). */
const DRAW = /^drm-(?:engine-gfx|engine-render|cycles-rcs)$/;

/** Undefined for the fdinfo of any other file. */
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

/** amdgpu calls resident memory `memory`; a driver that does not tell it tells what was asked for, `total`. */
function residentBytes(fields: ReadonlyMap<string, string>): number {
  const regions = new Map<string, number>();
  for (const kind of ["total", "memory", "resident"]) {
    for (const [key, value] of fields) {
      const region = key.startsWith(`drm-${kind}-`) ? key.slice(`drm-${kind}-`.length) : "cycles-";
      // `drm-total-cycles-*` is no memory, and `cpu` of amdgpu is what the card pushed out.
      if (!region.startsWith("cycles-") && region !== "cpu") regions.set(region, sizeOf(value));
    }
  }
  return [...regions.values()].reduce((sum, size) => sum + size, 0);
}

/** `25258000 KiB`; a number without a unit is bytes. */
function sizeOf(value: string): number {
  const [, number, unit = ""] = /^(\d+)(?: (\w+))?$/.exec(value) ?? [];
  return number === undefined ? 0 : Number(number) * (UNITS[unit] ?? 0);
}

const DESCRIPTORS_MAX = 4096;
const FDINFO_BYTES_MAX = 8192;
/** Every desktop program with a window draws by the card: what only draws has to be as large as a model. */
export const COMPUTING_BYTES_MIN = 256 * 1024 ** 2;
const DRAWING_BYTES_MIN = 2 * 1024 ** 3;

/** GPU memory that speaks for a model in it, 0 bytes for none; undefined without the right to look. */
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
