import type { Evidence } from "../../../shared/wire/heartbeat.ts";

/**
 * What each kind of evidence adds to the confidence, 0 to 100, strongest signal first. The order is that of the
 * wire's signals; the sum is capped at 100.
 */
export const WEIGHTS = {
  /** The product names itself on an endpoint. */
  httpIdentity: { signal: "http", weight: 90 },
  /** An answer that only this product is known to give. */
  httpStrong: { signal: "http", weight: 85 },
  /** An answer that fits, and would fit others. */
  httpHint: { signal: "http", weight: 10 },
  weightsMapped: { signal: "weights", weight: 80 },
  weightsOpen: { signal: "weights", weight: 75 },
  /** Weights alone, for a moment or merely open: any program that reads files has them. */
  weightsRead: { signal: "weights", weight: 55 },
  /** Memory without a file, in a process that had weights mapped or open before. With a shared library 60. */
  weightsCopied: { signal: "weights", weight: 50 },
  /** Memory without a file and as many bytes read, and a model on disk that fits. With a shared library 55. */
  weightsLikely: { signal: "weights", weight: 45 },
  /** The same without a model on disk. With a shared library 50. */
  weightsPossible: { signal: "weights", weight: 40 },
  libraryOwn: { signal: "library", weight: 70 },
  /** torch, ONNX Runtime: loaded by much that runs no model. */
  libraryShared: { signal: "library", weight: 10 },
  gpu: { signal: "gpu", weight: 65 },
  /** A GPU device is mapped or in use, for computing or for drawing. */
  gpuDevice: { signal: "gpu", weight: 5 },
  /** The executable's path or the command line belongs to the product's package. */
  binary: { signal: "binary", weight: 60 },
  openaiShape: { signal: "openai-shape", weight: 50 },
  name: { signal: "name", weight: 15 },
  port: { signal: "port", weight: 10 },
  /** Noted, and decided nothing. */
  runnerUp: { signal: "http", weight: 0 },
} as const satisfies Record<string, { signal: Evidence["signal"]; weight: number }>;

export type WeightName = keyof typeof WEIGHTS;

/** Below this nothing is reported. Name, port, one hint and a shared library together stay below it. */
export const REPORT_THRESHOLD = 50;

/** Sum over the signals of the strongest evidence of each: ten processes of one name are still one name. */
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

/** The list as it is reported: strongest first, and weights that add up to the confidence (before the cap). */
export function weighed(evidence: readonly Evidence[]): Evidence[] {
  const counted = new Set(strongest(evidence));
  const seen = new Set<string>();
  return evidence
    .map((one) => (counted.has(one) ? one : { ...one, weight: 0 }))
    .sort((a, b) => b.weight - a.weight)
    .filter(({ detail }) => !seen.has(detail) && seen.add(detail));
}

export const evidenceOf = (name: WeightName, detail: string): Evidence => ({ ...WEIGHTS[name], detail });
