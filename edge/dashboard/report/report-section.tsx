import type { Child } from "hono/jsx";
import type { Period } from "./detections-in-period.ts";
import type { ReportListName } from "./report-exports.ts";

/** Maximum number of rows in each table on the page. The downloads contain all rows. */
export const ROWS_MAX = 50;

export const Section = ({ id, title, children }: { id: string; title: string; children: Child }) => (
  <section id={id} class="card" aria-labelledby={`${id}-title`}>
    <h2 id={`${id}-title`}>{title}</h2>
    {children}
  </section>
);

export const Fact = ({ name, children }: { name: string; children: Child }) => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
);

/** Link to a list as CSV. `label`: name of the list in the link text. Default: the id of the list. */
export const CsvLink = ({
  list,
  label,
  period,
}: {
  list: ReportListName;
  label?: string;
  period: Period;
}) => (
  <p class="downloads">
    <a href={`/report.csv?${new URLSearchParams({ list, ...period })}`} download>
      Download {label ?? list} as CSV
    </a>
  </p>
);

/** Says how many rows the download has but the page does not show. */
export const MoreRows = ({ total }: { total: number }) =>
  total > ROWS_MAX ? (
    <p class="more">
      {`Showing ${number(ROWS_MAX)} of ${number(total)} rows. The downloads contain all of them.`}
    </p>
  ) : null;

export const number = (count: number): string => count.toLocaleString("en");
