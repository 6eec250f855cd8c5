import type { Model } from "../../../shared/wire/heartbeat.ts";
import { tidy } from "../../../shared/wire/text.ts";
import { architectureIn, type Look, readFile, walk, withoutPart } from "./walk-directory.ts";

type Found = { path: string; model: Model };

/** Models in all weight files below `root`. Several files of the same model are merged into one entry. */
export function weightFiles(look: Look, root: string): Model[] {
  const found = walk(look, root).flatMap((path): Found[] => {
    const model = readFile(look, path);
    return model ? [{ path, model }] : [];
  });
  const models = Map.groupBy(found, modelOf);
  return [...models.values()].map((parts) => {
    const [first, ...others] = parts.toSorted((a, b) => (a.path < b.path ? -1 : 1));
    const whole = first!.model.format === "safetensors" ? described(look, root, first!) : first!.model;
    if (others.length === 0) return whole;
    const sizeBytes = parts.reduce((sum, { model }) => sum + (model.sizeBytes ?? 0), 0);
    return { ...whole, sizeBytes };
  });
}

const directoryOf = (path: string): string => path.slice(0, path.lastIndexOf("/"));

/** Key of a model: the directory for safetensors, or the file name without its part number for GGUF. */
const modelOf = ({ path, model }: Found): string =>
  model.format === "safetensors" ? directoryOf(path) : withoutPart(path);

/**
 * Adds a name and an architecture to a safetensors model, because its files contain neither. The name is the
 * path of the directory, `<publisher>/<model>` or `<model>`. The architecture comes from `config.json`.
 */
function described(look: Look, root: string, { path, model }: Found): Model {
  const directory = directoryOf(path);
  const name = directory
    .slice(root.length + 1)
    .split("/")
    .slice(-2)
    .join("/");
  const architecture = architectureIn(look, directory);
  return {
    ...model,
    ...(name && { name: tidy(name, 200) }),
    ...(architecture && { architecture }),
  };
}
