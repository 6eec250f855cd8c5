import type { Model } from "../../../shared/wire/heartbeat.ts";
import { tidy } from "../../../shared/wire/text.ts";
import { valuesAt } from "../../catalogue/match.ts";
import type { Gaps, Layout, ModelDirectory } from "../reader/read-request.ts";
import type { Files } from "../system/files.ts";
import { browserModels } from "./browser-storage.ts";
import { huggingFaceModels } from "./hugging-face.ts";
import { DIRECTORY, jsonIn, type Look, noted, readFile, walk } from "./walk-directory.ts";
import { weightFiles } from "./weight-files.ts";

const KNOWN_FILES_MAX = 4096;

/** Creates a reader of model directories. Unchanged files are not read again. */
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
  browsers: browserModels,
};

/**
 * Maximum size of a manifest in bytes. A model with one layer per tensor has thousands of layers. Each layer
 * needs at least 200 bytes.
 */
const MANIFEST_BYTES_MAX = 4 * 1024 * 1024;
const MODEL_LAYER = "application/vnd.ollama.image.model";
/** MediaTypeImageTensor in manifest/layer.go of ollama/ollama: one safetensors layer per tensor. */
const TENSOR_LAYER = "application/vnd.ollama.image.tensor";

type Layer = { mediaType: string; digest: string; size: number };

/**
 * Models in an Ollama store. Each file `manifests/<registry>/<namespace>/<model>/<tag>` is an OCI-like
 * manifest. The weights are either one layer (a GGUF blob) or one layer per tensor.
 */
function ollamaModels(look: Look, root: string): Model[] {
  return walk(look, `${root}/manifests`).flatMap((path): Model[] => {
    const [given] = valuesAt(jsonIn(look, path, MANIFEST_BYTES_MAX), "layers");
    const layers = Array.isArray(given) ? given.filter(isLayer) : [];
    const name = tidy(ollamaName(path.slice(root.length + "/manifests/".length)), 200);
    const whole = layers.find(({ mediaType }) => mediaType === MODEL_LAYER);
    if (whole) {
      const { digest, size: sizeBytes } = whole;
      const found = readFile(look, `${root}/blobs/${digest.replace(":", "-")}`);
      return [{ format: "gguf", ...found, name, sizeBytes, digest, loaded: false }];
    }
    const tensors = layers.filter(({ mediaType }) => mediaType === TENSOR_LAYER);
    const sizeBytes = tensors.reduce((sum, { size }) => sum + size, 0);
    if (tensors.length === 0 || !Number.isSafeInteger(sizeBytes)) return [];
    return [{ name, format: "safetensors", sizeBytes, loaded: false }];
  });
}

function isLayer(value: unknown): value is Layer {
  const { mediaType, digest, size } = Object(value) as Partial<Record<keyof Layer, unknown>>;
  return (
    typeof mediaType === "string" &&
    typeof digest === "string" &&
    DIGEST.test(digest) &&
    typeof size === "number" &&
    Number.isSafeInteger(size) &&
    size >= 0
  );
}

/** Format of a digest. The digest becomes a file name, so other values could lead to a path outside the store. */
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/**
 * Converts `registry.ollama.ai/library/llama3/8b` to `llama3:8b`. Names from other registries keep the
 * registry's host name.
 */
function ollamaName(path: string): string {
  const [registry, namespace, model, tag] = path.split(/[/\\]/);
  const owner = namespace === "library" ? "" : `${namespace}/`;
  return `${registry === "registry.ollama.ai" ? "" : `${registry}/`}${owner}${model}:${tag}`;
}
