import { LIMITS, type Model } from "../../shared/wire/heartbeat.ts";
import { tidy } from "../../shared/wire/text.ts";
import type { CatalogEntry } from "../catalog/entry.ts";
import { valuesAt } from "../catalog/match.ts";
import { attempt, type Files, optional } from "./files.ts";
import { weightsModel, withoutUndefined } from "./models.ts";
import { recogniseWeights } from "./weights.ts";

/** Disks are looked at this often: models at rest change by downloads. */
const REFRESH_MS = 600_000;
const MANIFEST_BYTES_MAX = 64 * 1024;
const FILES_MAX = 4000;
const DEPTH_MAX = 6;
const WEIGHTS_BYTES_MIN = 1024 * 1024;
/** Headers with large vocabularies take milliseconds each: a few per refresh of a product. */
const HEADERS_MAX = 16;

type Directory = NonNullable<CatalogEntry["directories"]>[number];

export type AtRest = { read(entry: CatalogEntry): Model[] };

/** Models on disk of a product, from the directories its catalogue entry names. Read when the product runs. */
export function createAtRest(deps: {
  files: Files;
  homes: readonly string[];
  elapsed: () => number;
}): AtRest {
  const cache = new Map<string, { models: Model[]; nextAtMs: number }>();
  return {
    read: (entry) => {
      const before = cache.get(entry.id);
      if (before && before.nextAtMs > deps.elapsed()) return before.models;
      const models: Model[] = [];
      for (const directory of entry.directories ?? []) {
        for (const root of rootsOf(directory, deps.homes)) {
          models.push(...LAYOUTS[directory.layout](deps.files, root));
        }
      }
      const kept = models.slice(0, LIMITS.MODELS_MAX);
      cache.set(entry.id, { models: kept, nextAtMs: deps.elapsed() + REFRESH_MS });
      return kept;
    },
  };
}

function rootsOf({ path }: Directory, homes: readonly string[]): string[] {
  return path.startsWith("~") ? homes.map((home) => home + path.slice(1)) : [path];
}

const LAYOUTS: Record<Directory["layout"], (files: Files, root: string) => Model[]> = {
  ollama: ollamaModels,
  huggingface: huggingFaceModels,
  files: weightFiles,
};

/**
 * `manifests/<registry>/<namespace>/<model>/<tag>`, an OCI-like manifest whose layer of type
 * `application/vnd.ollama.image.model` is the GGUF blob.
 */
function ollamaModels(files: Files, root: string): Model[] {
  const models: Model[] = [];
  for (const path of walk(files, `${root}/manifests`)) {
    const manifest = optional(() => JSON.parse(files.text(path, MANIFEST_BYTES_MAX)) as unknown);
    const layers = valuesAt(manifest, "layers[]");
    const layer = layers.find(
      (one) => valuesAt(one, "mediaType")[0] === "application/vnd.ollama.image.model",
    );
    const [digest] = valuesAt(layer, "digest");
    const [sizeBytes] = valuesAt(layer, "size");
    if (typeof digest !== "string" || typeof sizeBytes !== "number" || !Number.isSafeInteger(sizeBytes))
      continue;
    const blob = `${root}/blobs/${digest.replace(":", "-")}`;
    const found = models.length < HEADERS_MAX ? optional(() => readFile(files, blob)) : undefined;
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
function huggingFaceModels(files: Files, root: string): Model[] {
  const models: Model[] = [];
  for (const directory of optional(() => files.list(root)) ?? []) {
    if (!directory.startsWith("models--")) continue;
    const revisions = optional(() => files.list(`${root}/${directory}/snapshots`)) ?? [];
    const snapshot = revisions.map((revision) => `${root}/${directory}/snapshots/${revision}`)[0];
    if (snapshot === undefined) continue;
    const config = optional(
      () => JSON.parse(files.text(`${snapshot}/config.json`, MANIFEST_BYTES_MAX)) as unknown,
    );
    const [architecture] = valuesAt(config, "model_type");
    const [owner, ...rest] = directory.slice("models--".length).split("--");
    models.push(
      withoutUndefined({
        name: tidy(rest.length > 0 ? `${owner}/${rest.join("--")}` : owner!, 200),
        loaded: false,
        ...weightsBelow(files, snapshot),
        architecture: typeof architecture === "string" ? tidy(architecture, 64) : undefined,
        publisher: rest.length > 0 ? tidy(owner!, 120) : undefined,
      }),
    );
  }
  return models;
}

/** Size and format of the weights of one snapshot, by their names: the files are links into a blob store. */
function weightsBelow(
  files: Files,
  snapshot: string,
): { sizeBytes?: number; format?: "safetensors" | "gguf" } {
  const names = (optional(() => files.list(snapshot)) ?? []).slice(0, 256);
  const weights = names.filter((name) => /\.(safetensors|gguf|bin|pt)$/.test(name));
  const sizes = weights.map((name) => optional(() => files.facts(`${snapshot}/${name}`))?.sizeBytes ?? 0);
  const format = (["safetensors", "gguf"] as const).find((one) =>
    weights.some((name) => name.endsWith(`.${one}`)),
  );
  const sizeBytes = sizes.reduce((sum, size) => sum + size, 0);
  return { ...(sizeBytes > 0 && { sizeBytes }), ...(format && { format }) };
}

/** Every file that is weights by its content. */
function weightFiles(files: Files, root: string): Model[] {
  const models: Model[] = [];
  for (const path of walk(files, root)) {
    if (models.length >= HEADERS_MAX) break;
    const found = optional(() => readFile(files, path));
    if (found) models.push({ ...found, loaded: false });
  }
  return models;
}

function readFile(files: Files, path: string): Model | undefined {
  const { isFile, sizeBytes } = files.facts(path);
  if (!isFile || sizeBytes < WEIGHTS_BYTES_MIN) return undefined;
  const found = recogniseWeights((offset, length) => files.bytes(path, offset, length), sizeBytes);
  return found && weightsModel({ path, sizeBytes, how: "open", ...found });
}

/** Paths of files below `root`, bounded in number and depth. Links to directories are not followed twice. */
function walk(files: Files, root: string): string[] {
  const found: string[] = [];
  const seen = new Set<string>();
  const visit = (directory: string, depth: number): void => {
    const listing = attempt(() => files.list(directory));
    if (!("value" in listing) || depth > DEPTH_MAX) return;
    for (const name of listing.value) {
      if (found.length >= FILES_MAX) return;
      const path = `${directory}/${name}`;
      const facts = optional(() => files.facts(path));
      if (facts?.isFile) found.push(path);
      if (!facts?.isDirectory || seen.has(facts.identity)) continue;
      seen.add(facts.identity);
      visit(path, depth + 1);
    }
  };
  visit(root, 0);
  return found;
}
