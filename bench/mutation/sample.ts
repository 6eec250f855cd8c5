import { apply, type Mutant, mutantsOf } from "./mutators.ts";

export type Candidate = Mutant & {
  file: string;
  /** Line number at which the change begins. The first line is 1. */
  line: number;
  /** The changed lines before the change (`from`) and after the change (`to`). */
  from: string;
  to: string;
};

export function candidatesOf(file: string, source: string): Candidate[] {
  return mutantsOf(source).map((mutant) => ({ ...mutant, file, ...diffOf(source, mutant) }));
}

function diffOf(source: string, mutant: Mutant): { line: number; from: string; to: string } {
  const lineStart = source.lastIndexOf("\n", mutant.start - 1) + 1;
  const newline = source.indexOf("\n", mutant.end);
  const lineEnd = newline < 0 ? source.length : newline;
  const mutated = apply(source, mutant);
  return {
    line: source.slice(0, mutant.start).split("\n").length,
    from: source.slice(lineStart, lineEnd),
    to: mutated.slice(lineStart, lineEnd + mutated.length - source.length),
  };
}

/**
 * Picks `count` mutants with equal probability. The rank of a mutant is a hash of the seed and of the changed
 * text. The rank does not depend on the line number, so the same seed picks the same mutants in unchanged
 * code even if the code moves.
 */
export function sample(candidates: readonly Candidate[], count: number, seed: number): Candidate[] {
  const repeats = new Map<string, number>();
  const ranked = candidates.map((candidate) => {
    const name = [candidate.file, candidate.operator, candidate.from, candidate.to].join("\n");
    const nth = repeats.get(name) ?? 0;
    repeats.set(name, nth + 1);
    return {
      candidate,
      rank: new Bun.CryptoHasher("sha256").update(`${seed}\n${nth}\n${name}`).digest("hex"),
    };
  });
  return ranked
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .slice(0, count)
    .map(({ candidate }) => candidate);
}
