/** Nearest-rank percentile of ascending numbers. `share` is 0 to 1. NaN for an empty list. */
export function percentile(ascending: ArrayLike<number>, share: number): number {
  if (ascending.length === 0) return Number.NaN;
  return ascending[Math.max(0, Math.ceil(share * ascending.length) - 1)]!;
}
