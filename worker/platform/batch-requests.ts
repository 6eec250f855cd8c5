/**
 * Collects single requests into batches: `flush` gets up to `sizeMax` keys and answers each in its place. A batch
 * goes when it is full, or as soon as nobody adds to it any more.
 */
export function createBatch<Key, Value>(
  sizeMax: number,
  flush: (keys: readonly Key[]) => Promise<readonly Value[]>,
): (key: Key) => Promise<Value> {
  type Asked = { key: Key; resolve: (value: Value) => void; reject: (error: unknown) => void };
  let open: Asked[] = [];

  async function go(asked: readonly Asked[]): Promise<void> {
    try {
      const answers = await flush(asked.map(({ key }) => key));
      for (const [index, { resolve }] of asked.entries()) resolve(answers[index]!);
    } catch (error) {
      for (const { reject } of asked) reject(error);
    }
  }

  function goNow(): void {
    const asked = open;
    open = [];
    if (asked.length > 0) void go(asked);
  }

  return (key) =>
    new Promise((resolve, reject) => {
      open.push({ key, resolve, reject });
      if (open.length >= sizeMax) goNow();
      else if (open.length === 1) setImmediate(goNow);
    });
}
