import type { PlatformDeps } from "../platform/deps.ts";
import type { Pasts } from "./baseline-store.ts";
import type { Adjudicate } from "./llm-review.ts";
import type { Presences } from "./presence-cache.ts";

export type AssessDeps = PlatformDeps & {
  pasts: Pasts;
  presences: Presences;
  /** Adds the verdict of the language model if it is known. Otherwise marks the assessment for an LLM review. */
  adjudicate: Adjudicate;
};
