import type { Facts, Found } from "../identify/candidate.ts";
import { evidenceOf, type WeightName } from "../identify/confidence.ts";
import { baseName } from "../system/base-name.ts";
import type { AnonymousMemory, ModelFormat, ModelOnDisk, Snapshot } from "../system/host.ts";
import { formatsOfLibrary, kindOfLibrary, type LibraryKind } from "./inference-libraries.ts";

/*
 * Detects weights that were read into anonymous memory, without a mapping or an open file. Examples are
 * llama.cpp with `--no-mmap`, `torch.load` and ONNX Runtime. The conclusion combines several weak pieces of
 * evidence. docs/detection.md shows how often the conclusion is right and wrong.
 */

const MIB = 1024 * 1024;
/** Minimum anonymous memory, and minimum number of read bytes, of a process with a runtime that may hold a model. */
export const RUNTIME_BYTES_MIN = 64 * MIB;
/**
 * Minimum anonymous memory, and minimum number of read bytes, of a process with a framework. Importing torch
 * 1.13.1 alone takes 116 MiB, or 140 MiB in a Jupyter kernel.
 */
export const FRAMEWORK_BYTES_MIN = 192 * MIB;
/**
 * Maximum ratio of the process's memory to the size of the model. Gradients and the two moments of Adam take
 * three times the memory of the weights.
 */
const HELD_PER_MODEL_MAX = 4;
/**
 * Minimum ratio of the process's memory to the size of the model file. A program does not keep the whole file
 * in memory. For example, it discards the tokenizer.
 */
const HELD_SHARE_MIN = 0.9;

const slashed = (path: string): string => path.replaceAll("\\", "/");

/**
 * Evidence that a process holds weights in anonymous memory. For a runtime, enough memory and enough read
 * bytes are sufficient. A framework also trains models and processes data, so additional evidence is
 * required. That is a loader library, a GPU, a model on disk with a matching size, or weights that the
 * process had mapped or open earlier.
 */
function unmappedWeights(
  pid: number,
  { snapshot, modelsOnDisk = [] }: Pick<Facts, "snapshot" | "modelsOnDisk">,
): Found[] {
  const memory = snapshot.anonymous?.get(pid);
  const libraries = (snapshot.libraries.get(pid) ?? []).map(slashed);
  const kinds = new Set(libraries.map(kindOfLibrary));
  if (!memory || !(kinds.has("runtime") || kinds.has("framework"))) return [];
  const bytesMin = kinds.has("runtime") ? RUNTIME_BYTES_MIN : FRAMEWORK_BYTES_MIN;
  const usesGpu = memory.mapsGpu || snapshot.gpu.has(pid);
  const formats = new Set(libraries.flatMap(formatsOfLibrary));
  const found = conclude(memory, { kinds, formats, bytesMin, usesGpu, modelsOnDisk });
  if (!found) return [];
  const gpu = usesGpu ? [evidenceOf("gpuDevice", "uses a GPU device")] : [];
  return [evidenceOf(found.name, found.detail), ...gpu].map((one) => ({ ...one, inferred: true }));
}

type Signs = {
  kinds: ReadonlySet<LibraryKind | undefined>;
  /** Model formats that the process's libraries read. */
  formats: ReadonlySet<ModelFormat>;
  bytesMin: number;
  usesGpu: boolean;
  modelsOnDisk: readonly ModelOnDisk[];
};

function conclude(
  memory: AnonymousMemory,
  { kinds, formats, bytesMin, usesGpu, modelsOnDisk }: Signs,
): { name: WeightName; detail: string } | undefined {
  const { heldBytes, readBytes, earlier, nearby } = memory;
  if (heldBytes < bytesMin) return undefined;
  const held = `holds ${inMebibytes(heldBytes)} of anonymous memory`;
  const before = earlier.find(({ sizeBytes }) => heldBytes >= sizeBytes * HELD_SHARE_MIN);
  if (before)
    return { name: "weightsCopied", detail: `${held}, and had ${nameOf(before)} mapped or open earlier` };
  if (readBytes < bytesMin) return undefined;
  const amounts = `${held} and has read ${inMebibytes(readBytes)}`;
  const near = largestFitting(nearby, memory, { formats, bytesMin });
  if (near)
    return {
      name: "weightsLikely",
      detail: `${amounts}; ${nameOf(near)} in a directory it uses has a matching size`,
    };
  const stored = largestFitting(modelsOnDisk, memory, { formats, bytesMin });
  if (stored)
    return {
      name: "weightsLikely",
      detail: `${amounts}; ${nameOf(stored)} on this disk has a matching size`,
    };
  const speaksForItself = kinds.has("runtime") || kinds.has("loader") || usesGpu;
  return speaksForItself ? { name: "weightsPossible", detail: amounts } : undefined;
}

/** The largest model whose format the libraries can read and whose size matches the memory and the read bytes. */
function largestFitting(
  models: readonly ModelOnDisk[],
  { heldBytes, readBytes }: AnonymousMemory,
  { formats, bytesMin }: Pick<Signs, "formats" | "bytesMin">,
): ModelOnDisk | undefined {
  // A model on disk with an unknown format may be readable by any library.
  const isRead = (format: ModelFormat): boolean => format === "unknown" || formats.has(format);
  const fitting = models.filter(
    ({ sizeBytes, format = "unknown" }) =>
      isRead(format) &&
      sizeBytes >= Math.max(bytesMin, heldBytes / HELD_PER_MODEL_MAX) &&
      sizeBytes <= readBytes &&
      sizeBytes * HELD_SHARE_MIN <= heldBytes,
  );
  return fitting.toSorted((a, b) => b.sizeBytes - a.sizeBytes)[0];
}

const inMebibytes = (bytes: number): string => `${Math.round(bytes / MIB)} MiB`;

const nameOf = (file: ModelOnDisk | { path: string; sizeBytes: number }): string =>
  `${"path" in file ? baseName(file.path) : file.name} (${inMebibytes(file.sizeBytes)})`;

/** Processes for which {@link unmappedWeights} returns evidence. */
export function unmappedWeightsByPid(
  facts: Pick<Facts, "modelsOnDisk"> & { snapshot: Snapshot },
): Map<number, Found[]> {
  const found = new Map<number, Found[]>();
  for (const pid of facts.snapshot.anonymous?.keys() ?? []) {
    const evidence = unmappedWeights(pid, facts);
    if (evidence.length > 0) found.set(pid, evidence);
  }
  return found;
}
