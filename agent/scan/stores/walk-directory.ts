import { LIMITS, type Model } from "../../../shared/wire/heartbeat.ts";
import { tidy } from "../../../shared/wire/text.ts";
import { valuesAt } from "../../catalogue/match.ts";
import { weightsModel } from "../models/served-models.ts";
import { recogniseWeights } from "../models/weights.ts";
import type { Gaps } from "../reader/read-request.ts";
import { attempt, type Files, optional } from "../system/files.ts";

/** Limits for reading a model directory. */
export const DIRECTORY = {
  FILES_MAX: 4000,
  DEPTH_MAX: 6,
  WEIGHTS_BYTES_MIN: 1024 * 1024,
  /**
   * Maximum number of model headers read per scan of a directory. Reading a header with a large vocabulary
   * takes a few milliseconds. Unchanged files are read only once. Models beyond the limit are named after
   * their files.
   */
  HEADERS_MAX: LIMITS.MODELS_MAX,
} as const;
/** Maximum size of a configuration file in bytes. Larger files are ignored. */
const JSON_BYTES_MAX = 64 * 1024;

/**
 * State while a directory is read: file access, problem counters, and the number of headers that can still be
 * read before the limit.
 */
export type Look = {
  files: Files;
  gaps: Gaps;
  headersLeft: number;
  /** Models in files read before, by file identity. Undefined if the file is not a model. */
  known: Map<string, Model | undefined>;
};

/**
 * Returns the result of `read`. If the read fails, increments the counter and returns undefined. A missing
 * file is not counted.
 */
export function noted<T>(look: Look, read: () => T): T | undefined {
  const result = attempt(read);
  if ("value" in result) return result.value;
  if (result.miss !== "gone") look.gaps.unreadable += 1;
  return undefined;
}

/** Text of a regular file, truncated to `bytesMax` bytes. Undefined if the file is missing or cannot be read. */
export const textOf = (look: Look, path: string, bytesMax: number): string | undefined =>
  noted(look, () => look.files.facts(path))?.isFile
    ? noted(look, () => new TextDecoder().decode(look.files.bytes(path, 0, bytesMax)))
    : undefined;

/** Parses a JSON file. A file larger than `bytesMax` is counted as unreadable. */
export function jsonIn(look: Look, path: string, bytesMax: number = JSON_BYTES_MAX): unknown {
  const text = textOf(look, path, bytesMax + 1);
  if (text !== undefined && text.length > bytesMax) look.gaps.unreadable += 1;
  return text === undefined ? undefined : optional(() => JSON.parse(text) as unknown);
}

/** The value of `model_type` in the `config.json` next to the weights. transformers and MLX write this file. */
export function architectureIn(look: Look, directory: string): string | undefined {
  const [architecture] = valuesAt(jsonIn(look, `${directory}/config.json`), "model_type");
  return typeof architecture === "string" && architecture !== "" ? tidy(architecture, 64) : undefined;
}

/** Removes the part number from a file name: `model-00001-of-00003.gguf` becomes `model.gguf`. */
export const withoutPart = (name: string): string => name.replace(/-\d{5}-of-\d{5}(?=\.gguf$)/, "");

/** The model in a file, if the file content is weights. Undefined for other files. */
export function readFile(look: Look, path: string): Model | undefined {
  const { files, known } = look;
  const facts = noted(look, () => files.facts(path));
  if (!facts?.isFile || facts.sizeBytes < DIRECTORY.WEIGHTS_BYTES_MIN) return undefined;
  const { sizeBytes } = facts;
  const key = `${facts.identity} ${sizeBytes} ${facts.modifiedMs} ${path}`;
  if (known.has(key)) return known.get(key);
  const found = noted(look, () => {
    const readAt = (offset: number, length: number) => files.bytes(path, offset, length);
    const weights = recogniseWeights(readAt, sizeBytes, { header: look.headersLeft > 0 });
    if (weights?.header) look.headersLeft -= 1;
    return {
      model: weights && { ...weightsModel({ path, sizeBytes, how: "open", ...weights }), loaded: false },
    };
  });
  if (found) known.set(key, found.model);
  return found?.model;
}

/**
 * Paths of files below `root`, limited in number and depth. Each directory is visited only once, so links
 * cannot cause endless loops.
 */
export function walk(look: Look, root: string, filesMax: number = DIRECTORY.FILES_MAX): string[] {
  const { files, gaps } = look;
  const found: string[] = [];
  const seen = new Set<string>();
  let isCut = false;
  const visit = (directory: string, depth: number): void => {
    if (depth > DIRECTORY.DEPTH_MAX) isCut = true;
    if (depth > DIRECTORY.DEPTH_MAX) return;
    for (const name of noted(look, () => files.list(directory)) ?? []) {
      if (found.length > filesMax) return;
      const path = `${directory}/${name}`;
      const facts = noted(look, () => files.facts(path));
      if (facts?.isFile) found.push(path);
      if (!facts?.isDirectory || seen.has(facts.identity)) continue;
      seen.add(facts.identity);
      visit(path, depth + 1);
    }
  };
  visit(root, 0);
  if (isCut || found.length > filesMax) gaps.cut += 1;
  return found.slice(0, filesMax);
}
