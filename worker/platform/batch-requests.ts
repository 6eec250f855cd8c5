/**
 * Collects single requests into batches. `flush` receives up to `sizeMax` keys and returns one value per key,
 * in the same order. A batch is sent when it is full, or in the next turn of the event loop.
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
