import type { Adjudicate } from "./adjudicate.ts";
import type { Pasts } from "./pasts.ts";
import type { PlatformDeps } from "./platform-deps.ts";
import type { Presences } from "./presences.ts";

export type AssessDeps = PlatformDeps & {
  pasts: Pasts;
  presences: Presences;
  /** Adds the language model's verdict where it is known, else a mark that it is to be asked. */
  adjudicate: Adjudicate;
};
