/**
 * One page of a list that is held in memory. `next`: key of the last row on the page. Undefined if this is
 * the last page.
 */
export type ListPage<Row> = { rows: readonly Row[]; isContinued: boolean; next: string | undefined };

/** Returns the page after the row with the key `after`. Returns the first page if that row no longer exists. */
export function pageAfter<Row>(
  list: readonly Row[],
  keyOf: (row: Row) => string,
  after: string | undefined,
  size: number,
): ListPage<Row> {
  const start = after === undefined ? 0 : list.findIndex((row) => keyOf(row) === after) + 1;
  const rows = list.slice(start, start + size);
  const isLast = start + size >= list.length;
  return { rows, isContinued: start > 0, next: isLast ? undefined : keyOf(rows.at(-1)!) };
}

/** Links to the first page and to the next page. The links keep the current filter. */
export const Pager = ({
  page: { isContinued, next, rows },
  path,
  filter,
  name,
  anchor = "",
}: {
  page: ListPage<unknown>;
  path: string;
  filter: readonly [string, string][];
  /** Query parameter that holds the key of the last row shown. */
  name: string;
  anchor?: string;
}) => {
  const kept = filter.filter(([key]) => key !== name);
  const href = (more: [string, string][]) => {
    const query = new URLSearchParams([...kept, ...more]).toString();
    return `${path}${query === "" ? "" : `?${query}`}${anchor}`;
  };
  return (
    <p class="pager">
      {isContinued && <a href={href([])}>First page</a>}
      {next !== undefined && (
        <a rel="next" href={href([[name, next]])}>
          Next {String(rows.length)}
        </a>
      )}
    </p>
  );
};

/** Returns a function that checks whether the given texts together contain every word of `q`. Case is ignored. */
export function textMatcher(q: string | undefined): (texts: readonly (string | undefined)[]) => boolean {
  const words = (q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  return (texts) => {
    if (words.length === 0) return true;
    const text = texts.join("\n").toLowerCase();
    return words.every((word) => text.includes(word));
  };
}

export const TextFilter = ({ path, label, q }: { path: string; label: string; q: string | undefined }) => (
  <search>
    <form class="filter" method="get" action={path} data-filter>
      <div class="field grow">
        <label for="q">{label}</label>
        <input id="q" name="q" type="search" maxlength={200} value={q ?? ""} autocomplete="off" />
      </div>
      <button type="submit">Filter</button>
    </form>
  </search>
);
