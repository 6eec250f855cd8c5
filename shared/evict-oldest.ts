/** Removes the oldest entries of a bounded cache until it has room for one more within `max`. Maps keep insertion order. */
export function evictOldest<Key>(cache: Map<Key, unknown>, max: number): void {
  for (const key of cache.keys()) {
    if (cache.size < max) return;
    cache.delete(key);
  }
}
