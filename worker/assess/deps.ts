import type { PlatformDeps } from "../platform/deps.ts";
import type { Pasts } from "./baseline-store.ts";
import type { Adjudicate } from "./llm-review.ts";
import type { Presences } from "./presence-cache.ts";

export type AssessDeps = PlatformDeps & {
  pasts: Pasts;
  presences: Presences;
  /** Adds the language model's verdict where it is known, else a mark that it is to be asked. */
  adjudicate: Adjudicate;
};
