import { LIMITS, type Model } from "../../shared/wire/heartbeat.ts";
import { tidy } from "../../shared/wire/text.ts";
import type { CatalogEntry } from "../catalog/entry.ts";
import { valuesAt } from "../catalog/match.ts";
import { attempt, type Files, optional } from "./files.ts";
import { weightsModel, withoutUndefined } from "./models.ts";
import { recogniseWeights } from "./weights.ts";

/** Limits of one look at a directory of models. */
export const DIRECTORY = {
  FILES_MAX: 4000,
  DEPTH_MAX: 6,
  WEIGHTS_BYTES_MIN: 1024 * 1024,
  /**
   * Headers with large vocabularies take milliseconds each. Of an unchanged file it is read once; more than a
   * heartbeat has room for have their file's name.
   */
  HEADERS_MAX: LIMITS.MODELS_MAX,
} as const;
const MANIFEST_BYTES_MAX = 64 * 1024;
const KNOWN_FILES_MAX = 4096;

/** A directory of models as an entry of the catalogue names it, `~` being somebody's home by now. */
export type ModelDirectory = NonNullable<CatalogEntry["directories"]>[number];
/** What was not looked at: `cut` for its number or depth, `unreadable` with these rights. */
export type Gaps = { cut: number; unreadable: number };

/** One look: files, what went wrong, and the headers that are left to read. */
type Look = {
  files: Files;
  gaps: Gaps;
  headersLeft: number;
  /** Of files that were read before, by what they are: undefined is no weights. */
  known: Map<string, Model | undefined>;
};

/** Reads directories of models, none of them loaded. Files that were read once and did not change are not read again. */
export function createDirectoryReader(files: Files) {
  const known: Look["known"] = new Map();
  return ({ path, layout }: ModelDirectory): { models: Model[]; gaps: Gaps } => {
    if (known.size > KNOWN_FILES_MAX) known.clear();
    const gaps = { cut: 0, unreadable: 0 };
    const look = { files, gaps, headersLeft: DIRECTORY.HEADERS_MAX, known };
    return { models: LAYOUTS[layout](look, path), gaps };
  };
}

const LAYOUTS: Record<ModelDirectory["layout"], (look: Look, root: string) => Model[]> = {
  ollama: ollamaModels,
  huggingface: huggingFaceModels,
  files: weightFiles,
};

/** The value; undefined with a note when the rights are missing. What is gone was not there. */
function noted<T>(look: Look, read: () => T): T | undefined {
  const result = attempt(read);
  if ("value" in result) return result.value;
  if (result.miss !== "gone") look.gaps.unreadable += 1;
  return undefined;
}

/**
 * `manifests/<registry>/<namespace>/<model>/<tag>`, an OCI-like manifest whose layer of type
 * `application/vnd.ollama.image.model` is the GGUF blob.
 */
function ollamaModels(look: Look, root: string): Model[] {
  const models: Model[] = [];
  for (const path of walk(look, `${root}/manifests`)) {
    const text = noted(look, () => look.files.text(path, MANIFEST_BYTES_MAX));
    const manifest = text === undefined ? undefined : optional(() => JSON.parse(text) as unknown);
    const layers = valuesAt(manifest, "layers[]");
    const layer = layers.find(
      (one) => valuesAt(one, "mediaType")[0] === "application/vnd.ollama.image.model",
    );
    const [digest] = valuesAt(layer, "digest");
    const [sizeBytes] = valuesAt(layer, "size");
    if (typeof digest !== "string" || typeof sizeBytes !== "number" || !Number.isSafeInteger(sizeBytes))
      continue;
    const found = readFile(look, `${root}/blobs/${digest.replace(":", "-")}`);
    const name = tidy(ollamaName(path.slice(root.length + "/manifests/".length)), 200);
    models.push({ format: "gguf", ...found, name, sizeBytes, digest: tidy(digest, 100), loaded: false });
  }
  return models;
}

/** `registry.ollama.ai/library/llama3/8b` → `llama3:8b`; other registries keep their host. */
function ollamaName(path: string): string {
  const [registry, namespace, model, tag] = path.split(/[/\\]/);
  const owner = namespace === "library" ? "" : `${namespace}/`;
  return `${registry === "registry.ollama.ai" ? "" : `${registry}/`}${owner}${model}:${tag}`;
}

/** `models--<owner>--<name>` with `snapshots/<revision>/` (huggingface_hub cache layout). */
function huggingFaceModels(look: Look, root: string): Model[] {
  const models: Model[] = [];
  for (const directory of noted(look, () => look.files.list(root)) ?? []) {
    if (!directory.startsWith("models--")) continue;
    const revisions = noted(look, () => look.files.list(`${root}/${directory}/snapshots`)) ?? [];
    const snapshot = revisions.map((revision) => `${root}/${directory}/snapshots/${revision}`)[0];
    if (snapshot !== undefined) models.push(...snapshotModels(look, directory, snapshot));
  }
  return models;
}

/** One model; of a repository that offers quantisations, those that were downloaded. */
function snapshotModels(look: Look, directory: string, snapshot: string): Model[] {
  const { files } = look;
  const config = optional(
    () => JSON.parse(files.text(`${snapshot}/config.json`, MANIFEST_BYTES_MAX)) as unknown,
  );
  const [architecture] = valuesAt(config, "model_type");
  const [owner, ...rest] = directory.slice("models--".length).split("--");
  const names = noted(look, () => files.list(snapshot)) ?? [];
  if (names.length > SNAPSHOT_FILES_MAX) look.gaps.cut += 1;
  const weights = names.slice(0, SNAPSHOT_FILES_MAX).filter((name) => WEIGHTS_NAME.test(name));
  const facts = withoutUndefined({
    name: tidy(rest.length > 0 ? `${owner}/${rest.join("--")}` : owner!, 200),
    loaded: false,
    architecture: typeof architecture === "string" ? tidy(architecture, 64) : undefined,
    publisher: rest.length > 0 ? tidy(owner!, 120) : undefined,
  });
  const quantised = [...Map.groupBy(weights.filter(isQuantised), withoutPart).values()];
  if (quantised.length < 2) return [{ ...facts, ...weighed(files, snapshot, weights) }];
  return quantised.map((parts) => {
    const { quantisation, architecture: family } = readFile(look, `${snapshot}/${parts.toSorted()[0]}`) ?? {};
    const own = withoutUndefined({ quantisation, architecture: family });
    return { ...facts, ...own, ...weighed(files, snapshot, parts) };
  });
}

const SNAPSHOT_FILES_MAX = 256;
const WEIGHTS_NAME = /\.(safetensors|gguf|bin|pt)$/;
/** A model by itself: the projector of pictures (`mmproj`) belongs to all of them. */
const isQuantised = (name: string): boolean => name.endsWith(".gguf") && !/mmproj/i.test(name);
/** `model-00001-of-00003.gguf`: one model in three files. */
const withoutPart = (name: string): string => name.replace(/-\d{5}-of-\d{5}(?=\.gguf$)/, "");

/** Size and format of weights by their names: the files are links into a blob store. */
function weighed(
  files: Files,
  snapshot: string,
  weights: readonly string[],
): { sizeBytes?: number; format?: "safetensors" | "gguf" } {
  const sizes = weights.map((name) => optional(() => files.facts(`${snapshot}/${name}`))?.sizeBytes ?? 0);
  const format = (["safetensors", "gguf"] as const).find((one) =>
    weights.some((name) => name.endsWith(`.${one}`)),
  );
  const sizeBytes = sizes.reduce((sum, size) => sum + size, 0);
  return { ...(sizeBytes > 0 && { sizeBytes }), ...(format && { format }) };
}

/** Every file that is weights by its content. */
function weightFiles(look: Look, root: string): Model[] {
  return walk(look, root).flatMap((path) => {
    const found = readFile(look, path);
    return found ? [found] : [];
  });
}

/** The model in a file that is weights by its content. */
function readFile(look: Look, path: string): Model | undefined {
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

/** Paths of files below `root`, bounded in number and depth. Links to directories are not followed twice. */
function walk(look: Look, root: string): string[] {
  const { files, gaps } = look;
  const found: string[] = [];
  const seen = new Set<string>();
  let isCut = false;
  const visit = (directory: string, depth: number): void => {
    if (depth > DIRECTORY.DEPTH_MAX) isCut = true;
    if (depth > DIRECTORY.DEPTH_MAX) return;
    for (const name of noted(look, () => files.list(directory)) ?? []) {
      if (found.length > DIRECTORY.FILES_MAX) return;
      const path = `${directory}/${name}`;
      const facts = noted(look, () => files.facts(path));
      if (facts?.isFile) found.push(path);
      if (!facts?.isDirectory || seen.has(facts.identity)) continue;
      seen.add(facts.identity);
      visit(path, depth + 1);
    }
  };
  visit(root, 0);
  if (isCut || found.length > DIRECTORY.FILES_MAX) gaps.cut += 1;
  return found.slice(0, DIRECTORY.FILES_MAX);
}
