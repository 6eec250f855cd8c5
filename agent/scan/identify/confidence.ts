import type { Evidence } from "../../../shared/wire/heartbeat.ts";

/** Weight of each kind of evidence, 0 to 100. The confidence is the sum over signals, at most 100. */
export const WEIGHTS = {
  /** The product names itself on an endpoint. */
  httpIdentity: { signal: "http", weight: 90 },
  /** A response that only this product is known to return. */
  httpStrong: { signal: "http", weight: 85 },
  /** A response that fits this product and others. */
  httpHint: { signal: "http", weight: 10 },
  weightsMapped: { signal: "weights", weight: 80 },
  weightsOpen: { signal: "weights", weight: 75 },
  /** Weights without other evidence, mapped for a short time or only open. Any program that reads files does this. */
  weightsRead: { signal: "weights", weight: 55 },
  /** Anonymous memory in a process that had weights mapped or open before. With a shared library: 60. */
  weightsCopied: { signal: "weights", weight: 50 },
  /** Anonymous memory, as many bytes read, and a model on disk of that size. With a shared library: 55. */
  weightsLikely: { signal: "weights", weight: 45 },
  /** Anonymous memory and as many bytes read, but no model on disk. With a shared library: 50. */
  weightsPossible: { signal: "weights", weight: 40 },
  libraryOwn: { signal: "library", weight: 70 },
  /** torch, ONNX Runtime and others. Many programs load them without running a model. */
  libraryShared: { signal: "library", weight: 10 },
  gpu: { signal: "gpu", weight: 65 },
  /** A GPU device is mapped or in use, for computing or for drawing. */
  gpuDevice: { signal: "gpu", weight: 5 },
  /** The executable's path or the command line belongs to the product's package. */
  binary: { signal: "binary", weight: 60 },
  openaiShape: { signal: "openai-shape", weight: 50 },
  name: { signal: "name", weight: 15 },
  port: { signal: "port", weight: 10 },
  /** Another product that also fits. Recorded only. */
  runnerUp: { signal: "http", weight: 0 },
} as const satisfies Record<string, { signal: Evidence["signal"]; weight: number }>;

export type WeightName = keyof typeof WEIGHTS;

/** Minimum confidence of a reported engine. Name, port, one hint and a shared library together are below it. */
export const REPORT_THRESHOLD = 50;

/** Sum of the strongest evidence of each signal. Ten processes with one name count once. */
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

/** Evidence as reported: strongest first. The weights add up to the confidence before the cap of 100. */
export function weighed(evidence: readonly Evidence[]): Evidence[] {
  const counted = new Set(strongest(evidence));
  const seen = new Set<string>();
  return evidence
    .map((one) => (counted.has(one) ? one : { ...one, weight: 0 }))
    .sort((a, b) => b.weight - a.weight)
    .filter(({ detail }) => !seen.has(detail) && seen.add(detail));
}

export const evidenceOf = (name: WeightName, detail: string): Evidence => ({ ...WEIGHTS[name], detail });
