import type { PlatformDeps } from "../platform/deps.ts";
import type { BaselineStore } from "./baseline-store.ts";
import type { LookUpVerdict } from "./llm-review.ts";
import type { PresenceCache } from "./presence-cache.ts";

export type AssessDeps = PlatformDeps & {
  baselines: BaselineStore;
  presences: PresenceCache;
  /** Adds the verdict of the language model if it is known. Otherwise marks the assessment for an LLM review. */
  lookUpVerdict: LookUpVerdict;
};
