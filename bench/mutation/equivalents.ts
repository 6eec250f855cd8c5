import type { Candidate } from "./sample.ts";

/**
 * A mutant that is equivalent to the original code, so no test can detect it. `from` and `to` are the lines
 * before and after the change, without surrounding white space.
 */
export type Equivalent = {
  file: string;
  from: string;
  to: string;
  reason: string;
  /** Result of an independent second check. If this is null, the mutant counts as survived. */
  confirmed: string | null;
};

export const isOf =
  ({ file, from, to }: Candidate) =>
  (claim: Equivalent): boolean =>
    claim.file === file && claim.from === from.trim() && claim.to === to.trim();
