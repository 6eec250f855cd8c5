import type { Evidence } from "../../../shared/wire/heartbeat.ts";

/** Weights of evidence, 0 to 100. The confidence is the sum over the signals, with a maximum of 100. */
export const WEIGHTS = {
  /** A response in which the product names itself. */
  httpIdentity: { signal: "http", weight: 90 },
  /** A response that only this product is known to return. */
  httpStrong: { signal: "http", weight: 85 },
  /** A response that fits this product and other products. */
  httpHint: { signal: "http", weight: 10 },
  weightsMapped: { signal: "weights", weight: 80 },
  weightsOpen: { signal: "weights", weight: 75 },
  /**
   * The process has weights open, or had them mapped for a short time, and there is no other evidence. Any
   * program that reads files does this.
   */
  weightsRead: { signal: "weights", weight: 55 },
  /** Anonymous memory in a process that had weights mapped or open before. The sum with a shared library is 60. */
  weightsCopied: { signal: "weights", weight: 50 },
  /**
   * Anonymous memory and number of bytes read, both of which match the size of a model on disk. The sum with
   * a shared library is 55.
   */
  weightsLikely: { signal: "weights", weight: 45 },
  /**
   * Anonymous memory and about as many bytes read, but no model on disk has that size. The sum with a shared
   * library is 50.
   */
  weightsPossible: { signal: "weights", weight: 40 },
  libraryOwn: { signal: "library", weight: 70 },
  /** Shared inference libraries, such as torch and ONNX Runtime. Many programs load them without running a model. */
  libraryShared: { signal: "library", weight: 10 },
  gpu: { signal: "gpu", weight: 65 },
  /** A GPU device is mapped or in use, for computing or for graphics. */
  gpuDevice: { signal: "gpu", weight: 5 },
  /** The path of the executable or the command line contains the product's package. */
  binary: { signal: "binary", weight: 60 },
  openaiShape: { signal: "openai-shape", weight: 50 },
  name: { signal: "name", weight: 15 },
  port: { signal: "port", weight: 10 },
  /** Another product that also fits the responses. It is recorded with weight 0. */
  runnerUp: { signal: "http", weight: 0 },
} as const satisfies Record<string, { signal: Evidence["signal"]; weight: number }>;

export type WeightName = keyof typeof WEIGHTS;

/**
 * Minimum confidence of a reported engine. The evidence "name, default port, one hint and a shared library"
 * stays below it.
 */
export const REPORT_THRESHOLD = 50;

/**
 * Sum of weights, with only the strongest evidence of each signal. Ten processes with the same name therefore
 * count once.
 */
export function confidenceOf(evidence: readonly Evidence[]): number {
  return Math.min(
    100,
    strongest(evidence).reduce((sum, { weight }) => sum + weight, 0),
  );
}

function strongest(evidence: readonly Evidence[]): Evidence[] {
  const best = new Map<Evidence["signal"], Evidence>();
  for (const one of evidence)
    if (one.weight > (best.get(one.signal)?.weight ?? -1)) best.set(one.signal, one);
  return [...best.values()];
}

/** Evidence for a report, strongest first. The weights add up to the confidence before it is limited to 100. */
export function weighed(evidence: readonly Evidence[]): Evidence[] {
  const counted = new Set(strongest(evidence));
  const seen = new Set<string>();
  return evidence
    .map((one) => (counted.has(one) ? one : { ...one, weight: 0 }))
    .sort((a, b) => b.weight - a.weight)
    .filter(({ detail }) => !seen.has(detail) && seen.add(detail));
}

export const evidenceOf = (name: WeightName, detail: string): Evidence => ({ ...WEIGHTS[name], detail });
