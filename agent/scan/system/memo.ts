/** Caches the last result. Calls `make` only if an input differs from that of the last call (compared with `===`). */
export function createMemo<T>(): (inputs: readonly unknown[], make: () => T) => T {
  let last: { inputs: readonly unknown[]; result: T } | undefined;
  return (inputs, make) => {
    if (!last || !isSame(last.inputs, inputs)) last = { inputs, result: make() };
    return last.result;
  };
}

const isSame = (before: readonly unknown[], after: readonly unknown[]): boolean =>
  before.length === after.length && before.every((one, at) => one === after[at]);
