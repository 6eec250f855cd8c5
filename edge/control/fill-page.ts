/** A page asks the table this often at most, even when most of what it reads is left out. */
export const READS_MAX = 8;

/** Where a read begins and how much it may look at. */
export type Part = { limit: number; from?: string };
type Read<Found> = { items: Found[]; cursor?: string };

/**
 * Fills a page through a filter that the table does not know: reads on until `limit` items were kept, the list has ended,
 * or {@link READS_MAX} reads were made. The page may then be short, or empty, and still have a cursor.
 *
 * @param read looks at `limit` items at most
 * @param keep what of these the page holds
 * @returns `leftOut`: how many items were read and not kept
 */
export async function fillPage<Found, Kept>(
  page: Part,
  read: (part: Part) => Promise<Read<Found>>,
  keep: (found: Found[]) => Kept[] | Promise<Kept[]>,
): Promise<{ items: Kept[]; leftOut: number; cursor?: string }> {
  const items: Kept[] = [];
  let leftOut = 0;
  let { from } = page;
  for (let reads = 0; reads < READS_MAX && items.length < page.limit; reads++) {
    // What is left to fill is also what may be looked at, so the cursor never passes over an item.
    const limit = page.limit - items.length;
    const found = await read({ limit, ...(from !== undefined && { from }) });
    const kept = await keep(found.items);
    items.push(...kept);
    leftOut += found.items.length - kept.length;
    from = found.cursor;
    if (from === undefined) break;
  }
  return { items, leftOut, ...(from !== undefined && { cursor: from }) };
}
