import type { Candidate } from "./sample.ts";

/** A mutant whose change no test can observe. `from` and `to` are its lines without surrounding white space. */
export type Equivalent = {
  file: string;
  from: string;
  to: string;
  reason: string;
  /** Result of the independent second check. Without it, the mutant counts as survived. */
  confirmed: string | null;
};

export const isOf =
  ({ file, from, to }: Candidate) =>
  (claim: Equivalent): boolean =>
    claim.file === file && claim.from === from.trim() && claim.to === to.trim();
