import type { Facts, Found } from "../identify/candidate.ts";
import { evidenceOf, type WeightName } from "../identify/confidence.ts";
import { baseName } from "../system/base-name.ts";
import type { AnonymousMemory, ModelFormat, ModelOnDisk, Snapshot } from "../system/host.ts";
import { formatsOfLibrary, kindOfLibrary, type LibraryKind } from "./inference-libraries.ts";

/*
 * Weights that were read into anonymous memory leave neither a mapping nor an open file: llama.cpp with `--no-mmap`,
 * `torch.load`, ONNX Runtime. What is left is a conclusion from several weak signs. docs/detection.md shows how often it
 * is right and wrong.
 */

const MIB = 1024 * 1024;
/** A runtime that holds and has read less than this has a model of that size at most, or none. */
export const RUNTIME_BYTES_MIN = 64 * MIB;
/** An import of torch 1.13.1 holds 116 MiB, in a Jupyter kernel 140 MiB. */
export const FRAMEWORK_BYTES_MIN = 192 * MIB;
/** Gradients and the two moments of Adam take three times the weights; caches of an engine rarely more. */
const HELD_PER_MODEL_MAX = 4;
/** Parts of a model file, such as the tokenizer of a GGUF, are not kept as they are. */
const HELD_SHARE_MIN = 0.9;

const slashed = (path: string): string => path.replaceAll("\\", "/");

/**
 * Evidence that this process holds weights which no file in its memory shows. A runtime that holds and has read enough
 * is one case. A framework also trains and computes with data, so it needs another sign: a library that loads model
 * files, a GPU, a model on disk of a size that fits, or weights that it had mapped or open before.
 */
export function unmappedWeights(
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
  const gpu = usesGpu ? [evidenceOf("gpuDevice", "has a GPU device in use")] : [];
  return [evidenceOf(found.name, found.detail), ...gpu].map((one) => ({ ...one, inferred: true }));
}

type Signs = {
  kinds: ReadonlySet<LibraryKind | undefined>;
  /** What its libraries read. */
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
  const held = `holds ${inMebibytes(heldBytes)} of memory without a file`;
  const before = earlier.find(({ sizeBytes }) => heldBytes >= sizeBytes * HELD_SHARE_MIN);
  if (before)
    return { name: "weightsCopied", detail: `${held}, and had ${nameOf(before)} mapped or open before` };
  if (readBytes < bytesMin) return undefined;
  const amounts = `${held} and has read ${inMebibytes(readBytes)}`;
  const near = largestFitting(nearby, memory, { formats, bytesMin });
  if (near) return { name: "weightsLikely", detail: `${amounts}; ${nameOf(near)} beside what it runs fits` };
  const stored = largestFitting(modelsOnDisk, memory, { formats, bytesMin });
  if (stored) return { name: "weightsLikely", detail: `${amounts}; ${nameOf(stored)} on this disk fits` };
  const speaksForItself = kinds.has("runtime") || kinds.has("loader") || usesGpu;
  return speaksForItself ? { name: "weightsPossible", detail: amounts } : undefined;
}

/** The largest model whose format its libraries read and whose size fits what the process has read and holds in memory. */
function largestFitting(
  models: readonly ModelOnDisk[],
  { heldBytes, readBytes }: AnonymousMemory,
  { formats, bytesMin }: Pick<Signs, "formats" | "bytesMin">,
): ModelOnDisk | undefined {
  // A model at rest of a format without a name in the wire may be of any of them.
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

/** Processes for which {@link unmappedWeights} concludes something. */
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
