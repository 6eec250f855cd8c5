import type { Candidate } from "./sample.ts";

/** A mutant that changes nothing anybody can observe. `from` and `to` are its lines, without the white space around. */
export type Equivalent = {
  file: string;
  from: string;
  to: string;
  reason: string;
  /** What the second, independent look found. Until there is one, the mutant counts as survived. */
  confirmed: string | null;
};

export const isOf =
  ({ file, from, to }: Candidate) =>
  (claim: Equivalent): boolean =>
    claim.file === file && claim.from === from.trim() && claim.to === to.trim();
