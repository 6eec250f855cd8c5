/** Maximum number of table reads for one page, even if the filter removes most items. */
export const READS_MAX = 8;

/** Size of one read, and the key after which it starts. */
export type Part = { limit: number; from?: string };
type Read<Found> = { items: Found[]; cursor?: string };

/**
 * Fills a page with items that pass a filter outside of the table. Reads until the page has `limit` items,
 * the list ends, or {@link READS_MAX} reads were made. The page can be short or empty and still have a
 * cursor.
 *
 * @param read reads at most `limit` items ⏎ @param keep returns the items that belong on the page ⏎ @returns
 * the page; `leftOut` is the number of items that `keep` removed
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
    // Do not read more items than still fit on the page. Otherwise the cursor would skip items.
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
