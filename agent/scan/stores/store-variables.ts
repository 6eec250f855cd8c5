/** Stores whose directory a setting can change. A store belongs to a product or is the shared Hugging Face cache. */
export type MovableStore = "ollama" | "huggingface" | "lm-studio" | "llama-cpp";

/** A model directory named by a setting. */
export type MovedStore = { store: MovableStore; path: string };

export type Environment = ReadonlyMap<string, string>;

/**
 * An environment variable that names a directory. `below`: path of the models relative to that directory. The
 * first variable that is set is used.
 */
type Variable = { name: string; below?: string };

const VARIABLES: readonly { store: MovableStore; names: readonly Variable[] }[] = [
  // Source: envconfig/config.go of ollama/ollama, func Models.
  { store: "ollama", names: [{ name: "OLLAMA_MODELS" }] },
  // Source: huggingface_hub/constants.py 2.4.0. The order of priority is HF_HUB_CACHE, its older name,
  // HF_HOME, XDG_CACHE_HOME.
  {
    store: "huggingface",
    names: [
      { name: "HF_HUB_CACHE" },
      { name: "HUGGINGFACE_HUB_CACHE" },
      { name: "HF_HOME", below: "hub" },
      { name: "XDG_CACHE_HOME", below: "huggingface/hub" },
    ],
  },
  // Sources: lms-common-server/src/findLMStudioHome.ts of lmstudio-ai/lmstudio-js, and src/lmstudioPaths.ts
  // of lmstudio-ai/lms.
  { store: "lm-studio", names: [{ name: "LMSTUDIO_HOME", below: "models" }] },
  // Source: common/common.cpp of ggml-org/llama.cpp, fs_get_cache_directory.
  { store: "llama-cpp", names: [{ name: "LLAMA_CACHE" }, { name: "XDG_CACHE_HOME", below: "llama.cpp" }] },
];

/** Model directories named by environment variables. A leading `~` is replaced by `home`, as in huggingface_hub. */
export function storesIn(environment: Environment, home?: string): MovedStore[] {
  return VARIABLES.flatMap(({ store, names }) => {
    const variable = names.find(({ name }) => environment.get(name));
    if (!variable) return [];
    const path = absolute(environment.get(variable.name)!, home);
    if (path === undefined) return [];
    return [{ store, path: variable.below === undefined ? path : `${path}/${variable.below}` }];
  });
}

/** Normalises an absolute path. Returns undefined for a relative path and for the root directory. */
export function absolute(value: string, home?: string): string | undefined {
  const given = home !== undefined && /^~(?=\/|$)/.test(value) ? home + value.slice(1) : value;
  const isClean = [...given].every((char) => char >= " ");
  if (!/^(?:\/|[A-Za-z]:[\\/])/.test(given) || !isClean) return undefined;
  const isDrive = !given.startsWith("/");
  const parts: string[] = [];
  for (const part of given.split(isDrive ? /[\\/]/ : "/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  if (parts.length < (isDrive ? 2 : 1)) return undefined;
  return isDrive ? parts.join("/") : `/${parts.join("/")}`;
}
