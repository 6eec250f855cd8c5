/** Runs `work` after all earlier work under the same key has ended, successfully or not. */
export type KeyedMutex = <T>(key: string, work: () => Promise<T>) => Promise<T>;

/**
 * Keyed mutex within this node. It orders the changes of one tenant, which would otherwise conflict in the table: each
 * updates the tenant's custody head. Changes on other nodes can still conflict.
 */
export function createKeyedMutex(): KeyedMutex {
  const last = new Map<string, Promise<unknown>>();
  return async (key, work) => {
    const before = last.get(key);
    const mine = (async () => {
      await before?.catch(() => {});
      return work();
    })();
    last.set(key, mine);
    try {
      return await mine;
    } finally {
      if (last.get(key) === mine) last.delete(key);
    }
  };
}
