/** A part of a list that is held whole: what comes after the one last shown. */
export type Part<Row> = { rows: readonly Row[]; isContinued: boolean; next: string | undefined };

/** One that is no longer in the list (it was counted anew) leads to its beginning, and to nothing left out. */
export function partAfter<Row>(
  list: readonly Row[],
  keyOf: (row: Row) => string,
  after: string | undefined,
  size: number,
): Part<Row> {
  const start = after === undefined ? 0 : list.findIndex((row) => keyOf(row) === after) + 1;
  const rows = list.slice(start, start + size);
  const isLast = start + size >= list.length;
  return { rows, isContinued: start > 0, next: isLast ? undefined : keyOf(rows.at(-1)!) };
}

/** To the first page and the next one, with the filter as it is. */
export const PartPager = ({
  part: { isContinued, next, rows },
  path,
  filter,
  name,
  anchor = "",
}: {
  part: Part<unknown>;
  path: string;
  filter: readonly [string, string][];
  /** What the place is called in the address. */
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

/** Whether every word of the text stands in one of these. */
export function holdsWords(q: string | undefined): (told: readonly (string | undefined)[]) => boolean {
  const words = (q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  return (told) => {
    if (words.length === 0) return true;
    const text = told.join("\n").toLowerCase();
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
