import { type Engine, LIMITS, type Model } from "../../../shared/wire/heartbeat.ts";
import { tidy } from "../../../shared/wire/text.ts";
import type { ModelList } from "../../catalogue/entry.ts";
import { type Answers, MODELS_PATH } from "../../catalogue/judge.ts";
import { regex, valuesAt } from "../../catalogue/match.ts";
import { repositoryOf } from "../stores/repository.ts";
import { baseName } from "../system/base-name.ts";
import type { WeightFile } from "../system/host.ts";

/**
 * Model list of every OpenAI-compatible server. The list does not say whether a model is loaded, so every
 * model in it counts as loaded.
 */
export const OPENAI_MODELS: ModelList = { path: MODELS_PATH, each: "data[]", name: "id", loaded: true };

/**
 * Models that an engine lists, at most {@link LIMITS.MODELS_MAX}. Models with the same name in several lists
 * are merged.
 */
export function listedModels(lists: readonly ModelList[], answers: Answers): Model[] {
  const models = new Map<string, Model>();
  for (const list of lists) {
    const answer = answers.get(list.path);
    if (answer?.status !== 200) continue;
    for (const item of valuesAt(answer.json, list.each)) {
      const model = readModel(list, item);
      if (!model) continue;
      const before = models.get(model.name);
      if (!before && models.size >= LIMITS.MODELS_MAX) continue;
      models.set(model.name, before ? { ...before, ...model, loaded: before.loaded || model.loaded } : model);
    }
  }
  return [...models.values()];
}

function readModel(list: ModelList, item: unknown): Model | undefined {
  const text = (path: string | undefined, max: number): string | undefined => {
    const value = path === undefined ? undefined : path === "" ? item : valuesAt(item, path)[0];
    if (typeof value === "number") return tidy(String(value), max);
    return typeof value === "string" && !/^(?:unknown)?$/i.test(value) ? tidy(value, max) : undefined;
  };
  const name = text(list.name, 200);
  if (name === undefined) return undefined;
  const [size] = list.sizeBytes === undefined ? [] : valuesAt(item, list.sizeBytes);
  const format = text(list.format, 20)?.toLowerCase();
  const known = (["gguf", "safetensors", "onnx", "mlx"] as const).find((candidate) => candidate === format);
  return withoutUndefined({
    name: withoutDirectory(name),
    loaded: typeof list.loaded === "boolean" ? list.loaded : isLoaded(list.loaded, item),
    format: known,
    sizeBytes: typeof size === "number" && Number.isSafeInteger(size) && size >= 0 ? size : undefined,
    architecture: text(list.architecture, 64),
    parameters: text(list.parameters, 32),
    quantisation: text(list.quantisation, 32),
    publisher: text(list.publisher, 120),
    digest: text(list.digest, 100),
  });
}

function isLoaded(rule: { at: string; matches: string }, item: unknown): boolean {
  return valuesAt(item, rule.at).some((value) => regex(rule.matches).test(String(value)));
}

/**
 * Removes the directory from a model name. llama.cpp uses the file path as the name, and the path is private.
 * Keeps `owner/model`.
 */
function withoutDirectory(name: string): string {
  const isPath = /^(?:[/~.]|[A-Za-z]:\\)/.test(name);
  return isPath ? (name.split(/[/\\]/).findLast((part) => part !== "") ?? name) : name;
}

/**
 * Describes a loaded weight file as a model. The model is named after its repository, else after the name in
 * its header, else after its file.
 */
export function weightsModel(file: WeightFile): Model {
  const header = file.header;
  const repository = repositoryOf(file.path);
  return withoutUndefined({
    name: repository?.name ?? tidy(header?.name ?? baseName(file.path), 200),
    loaded: true,
    format: file.format === "ggml" || file.format === "torch" ? ("unknown" as const) : file.format,
    sizeBytes: file.sizeBytes,
    architecture: header?.architecture && tidy(header.architecture, 64),
    parameters: header?.parameters && tidy(header.parameters, 32),
    quantisation: header?.quantisation && tidy(header.quantisation, 32),
    licence: header?.licence && tidy(header.licence, 120),
    publisher: repository?.publisher ?? (header?.publisher && tidy(header.publisher, 120)),
    digest: blobDigest(file.path),
  });
}

/**
 * Adds facts about loaded weight files to the models that an engine lists. A file belongs to the model with
 * the same digest or name, or to the only loaded model. Any other file becomes a separate model.
 */
export function joinWeights(listed: readonly Model[], files: readonly WeightFile[]): Engine["models"] {
  const models = listed.map((model) => ({ ...model }));
  const inMemory = [...Map.groupBy(files, wholeOf).values()];
  for (const parts of inMemory) {
    const facts = joined(parts);
    const loaded = models.filter((model) => model.loaded);
    const file = stem(baseName(parts[0]!.path));
    const isCalledSo = (model: Model): boolean => model.name === facts.name || stem(model.name) === file;
    const home =
      models.find((model) => sameDigest(model.digest, facts.digest)) ??
      models.find((model) => isCalledSo(model) && isAlikeQuantised(model, facts)) ??
      (inMemory.length === 1 && loaded.length === 1 ? loaded[0] : undefined);
    if (home) Object.assign(home, { ...facts, ...home, loaded: true });
    else models.push(facts);
  }
  return models;
}

/** Key of the model to which a weight file belongs. All safetensors files of one repository form one model. */
const wholeOf = ({ format, path }: WeightFile): string =>
  (format === "safetensors" ? repositoryOf(path)?.name : undefined) ?? path;

function joined(parts: readonly WeightFile[]): Model {
  const first = weightsModel(parts[0]!);
  if (parts.length === 1) return first;
  const { digest: _, ...whole } = first;
  return { ...whole, sizeBytes: parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
}

/** Merges models that have the same name in several lists, unless their quantisations differ. */
export function mergeByName(models: readonly Model[]): Model[] {
  const merged = new Map<string, Model[]>();
  for (const model of models) {
    const namesakes = merged.get(model.name) ?? [];
    merged.set(model.name, namesakes);
    const at = namesakes.findIndex((one) => isAlikeQuantised(one, model));
    const before = namesakes[at];
    if (before) namesakes[at] = { ...model, ...before, loaded: before.loaded || model.loaded };
    else namesakes.push(model);
  }
  return [...merged.values()].flat();
}

/** True if both models have the same quantisation, or if the quantisation of at least one is unknown. */
export const isAlikeQuantised = (a: Model, b: Model): boolean =>
  a.quantisation === undefined ||
  b.quantisation === undefined ||
  a.quantisation.toLowerCase() === b.quantisation.toLowerCase();

const sameDigest = (a: string | undefined, b: string | undefined): boolean =>
  a !== undefined && b !== undefined && a.replace(/^sha256[:-]/, "") === b.replace(/^sha256[:-]/, "");

/**
 * Digest in the path of a file in a content-addressed store. Such paths contain `blobs/sha256-<digest>`
 * (Ollama), `blobs/sha256/` (OCI) or `blobs/`.
 */
function blobDigest(path: string): string | undefined {
  const sha256 = /(?:sha256[-\\/]|[\\/]blobs[\\/])([0-9a-f]{64})(?![0-9a-f])/.exec(path)?.[1];
  return sha256 && `sha256:${sha256}`;
}

const stem = (name: string): string => name.toLowerCase().replace(/\.(?:gguf|safetensors|onnx|bin)$/, "");

/** Removes keys whose value is undefined, because an unknown value is an absent key on the wire. */
export function withoutUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
