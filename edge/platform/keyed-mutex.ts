/** Runs `work` after all that was given under this name before, whatever became of it. */
export type Turns = <T>(name: string, work: () => Promise<T>) => Promise<T>;

/**
 * Lets the changes of one tenant on this node go one after the other: they would lose against each other in the
 * table, for each moves the tenant's custody head. Against other nodes they still race there.
 */
export function createTurns(): Turns {
  const last = new Map<string, Promise<unknown>>();
  return async (name, work) => {
    const before = last.get(name);
    const mine = (async () => {
      await before?.catch(() => {});
      return work();
    })();
    last.set(name, mine);
    try {
      return await mine;
    } finally {
      if (last.get(name) === mine) last.delete(name);
    }
  };
}
