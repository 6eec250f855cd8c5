import type { Model } from "../../../shared/wire/heartbeat.ts";
import { tidy } from "../../../shared/wire/text.ts";
import { withoutUndefined } from "../models/served-models.ts";
import { optional } from "../system/files.ts";
import { repositoryOf } from "./repository.ts";
import { architectureIn, type Look, noted, readFile, textOf, walk, withoutPart } from "./walk-directory.ts";

/** Models in a huggingface_hub cache. Their directories are `models--<owner>--<name>/snapshots/<revision>/`. */
export function huggingFaceModels(look: Look, root: string): Model[] {
  return (noted(look, () => look.files.list(root)) ?? []).flatMap((directory) => {
    const snapshot = directory.startsWith("models--") && snapshotOf(look, `${root}/${directory}`);
    return snapshot ? snapshotModels(look, snapshot) : [];
  });
}

/**
 * Directory of the last downloaded revision of `main`. If that revision is missing, returns the first
 * revision in the list.
 */
function snapshotOf(look: Look, repository: string): string | undefined {
  const revisions = noted(look, () => look.files.list(`${repository}/snapshots`)) ?? [];
  const main = textOf(look, `${repository}/refs/main`, 64);
  const revision = revisions.find((one) => one === main?.trim()) ?? revisions[0];
  return revision === undefined ? undefined : `${repository}/snapshots/${revision}`;
}

type SnapshotFile = { name: string; path: string; sizeBytes: number };

/** The model of a snapshot, or one model per downloaded quantisation. Empty if the snapshot contains no weights. */
function snapshotModels(look: Look, snapshot: string): Model[] {
  const repository = repositoryOf(`${snapshot}/`);
  if (!repository) return [];
  const weights = walk(look, snapshot, SNAPSHOT_FILES_MAX).flatMap((path): SnapshotFile[] => {
    const sizeBytes = optional(() => look.files.facts(path))?.sizeBytes ?? 0;
    const name = path.slice(snapshot.length + 1);
    return WEIGHTS_NAME.test(name) || sizeBytes >= WEIGHTS_SURELY_BYTES ? [{ name, path, sizeBytes }] : [];
  });
  if (weights.length === 0) return [];
  const licence = licenceOnCard(textOf(look, `${snapshot}/README.md`, CARD_BYTES_MAX));
  const facts = withoutUndefined({
    ...repository,
    loaded: false,
    architecture: architectureIn(look, snapshot),
    licence: licence && tidy(licence, 120),
  });
  const quantised = [...Map.groupBy(weights.filter(isQuantised), ({ name }) => withoutPart(name)).values()];
  if (quantised.length < 2) return [{ ...facts, ...weighed(look, weights) }];
  return quantised.map((parts) => {
    const [first] = parts.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const { quantisation, architecture: family } = readFile(look, first!.path) ?? {};
    const own = withoutUndefined({ quantisation, architecture: family });
    return { ...facts, ...own, ...weighed(look, parts) };
  });
}

const SNAPSHOT_FILES_MAX = 256;
const CARD_BYTES_MAX = 16 * 1024;
const WEIGHTS_NAME = /\.(?:safetensors|gguf|onnx|bin|ckpt|h5|msgpack|npz|pth?|tflite|litertlm)$/;
/**
 * Minimum size in bytes of a file with an unknown name that counts as weights. Other files in repositories
 * are smaller.
 */
const WEIGHTS_SURELY_BYTES = 64 * 1024 * 1024;
/**
 * True for a GGUF file that is a model by itself. An image projector (`mmproj`) belongs to all models of the
 * repository.
 */
const isQuantised = ({ name }: SnapshotFile): boolean => name.endsWith(".gguf") && !/mmproj/i.test(name);

/**
 * Size, format and digest of the weights. The format is derived from the file name. A digest exists only for
 * a single file, which is a link to `blobs/<sha256>`.
 */
function weighed(
  { files }: Look,
  weights: readonly SnapshotFile[],
): Pick<Model, "sizeBytes" | "format" | "digest"> {
  const sizeBytes = weights.reduce((sum, one) => sum + one.sizeBytes, 0);
  const format = (["safetensors", "gguf", "onnx"] as const).find((one) =>
    weights.some(({ name }) => name.endsWith(`.${one}`)),
  );
  const blob = weights.length === 1 ? optional(() => files.link(weights[0]!.path)) : undefined;
  const sha256 = blob === undefined ? undefined : /(?:^|[\\/])([0-9a-f]{64})$/.exec(blob)?.[1];
  return {
    ...(sizeBytes > 0 && { sizeBytes }),
    ...(format && { format }),
    ...(sha256 && { digest: `sha256:${sha256}` }),
  };
}

/** Licence in the YAML front matter of a model card. If `license` is `other`, returns the value of `license_name`. */
function licenceOnCard(card: string | undefined): string | undefined {
  const head = card === undefined ? undefined : /^---\r?\n([\s\S]*?)\n---/.exec(card)?.[1];
  const saidOf = (key: string): string | undefined =>
    head && new RegExp(`^${key}:[ \\t]*["']?([^"'\\r\\n#]+)`, "m").exec(head)?.[1]?.trim();
  const licence = saidOf("license");
  return licence === "other" ? (saidOf("license_name") ?? licence) : licence;
}
