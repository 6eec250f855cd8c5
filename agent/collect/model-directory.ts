import type { Model } from "../../shared/wire/heartbeat.ts";
import { tidy } from "../../shared/wire/text.ts";
import type { CatalogEntry } from "../catalog/entry.ts";
import { valuesAt } from "../catalog/match.ts";
import type { Files } from "./files.ts";
import { huggingFaceModels } from "./hugging-face.ts";
import { DIRECTORY, type Gaps, jsonIn, type Look, noted, readFile, walk } from "./look.ts";
import { weightFiles } from "./weight-files.ts";

const KNOWN_FILES_MAX = 4096;

type Layout = NonNullable<CatalogEntry["directories"]>[number]["layout"];

/**
 * A directory of models as an entry of the catalogue or a setting names it; `~` is already replaced by a home directory.
 * `ownerUids`: only a directory of these users is read, because settings of theirs name it.
 */
export type ModelDirectory = { path: string; layout: Layout; ownerUids?: readonly number[] };

/** Reads directories of models, none of them loaded. Files that were read once and did not change are not read again. */
export function createDirectoryReader(files: Files) {
  const known: Look["known"] = new Map();
  return ({ path, layout, ownerUids }: ModelDirectory): { models: Model[]; gaps: Gaps } => {
    if (known.size > KNOWN_FILES_MAX) known.clear();
    const gaps: Gaps = { cut: 0, unreadable: 0 };
    const look = { files, gaps, headersLeft: DIRECTORY.HEADERS_MAX, known };
    const owner = ownerUids && noted(look, () => files.facts(path))?.ownerUid;
    if (owner !== undefined && !ownerUids!.includes(owner))
      return { models: [], gaps: { ...gaps, foreign: 1 } };
    return { models: LAYOUTS[layout](look, path), gaps };
  };
}

const LAYOUTS: Record<Layout, (look: Look, root: string) => Model[]> = {
  ollama: ollamaModels,
  huggingface: huggingFaceModels,
  files: weightFiles,
};

/**
 * `manifests/<registry>/<namespace>/<model>/<tag>`, an OCI-like manifest whose layer of type
 * `application/vnd.ollama.image.model` is the GGUF blob.
 */
function ollamaModels(look: Look, root: string): Model[] {
  const models: Model[] = [];
  for (const path of walk(look, `${root}/manifests`)) {
    const layers = valuesAt(jsonIn(look, path), "layers[]");
    const layer = layers.find(
      (one) => valuesAt(one, "mediaType")[0] === "application/vnd.ollama.image.model",
    );
    const [digest] = valuesAt(layer, "digest");
    const [sizeBytes] = valuesAt(layer, "size");
    if (typeof digest !== "string" || !DIGEST.test(digest)) continue;
    if (typeof sizeBytes !== "number" || !Number.isSafeInteger(sizeBytes)) continue;
    const found = readFile(look, `${root}/blobs/${digest.replace(":", "-")}`);
    const name = tidy(ollamaName(path.slice(root.length + "/manifests/".length)), 200);
    models.push({ format: "gguf", ...found, name, sizeBytes, digest, loaded: false });
  }
  return models;
}

/** It names a file: of any other form it could name one elsewhere. */
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** `registry.ollama.ai/library/llama3/8b` → `llama3:8b`; other registries keep their host. */
function ollamaName(path: string): string {
  const [registry, namespace, model, tag] = path.split(/[/\\]/);
  const owner = namespace === "library" ? "" : `${namespace}/`;
  return `${registry === "registry.ollama.ai" ? "" : `${registry}/`}${owner}${model}:${tag}`;
}
