import type { FleetHourItem } from "../../shared/table/items/fleet.ts";
import { plural } from "./badges.tsx";
import { Moment } from "./time.tsx";

const [WIDTH, HEIGHT] = [600, 96];
/** Nothing was counted for longer than this: the line breaks, for what happened meanwhile is not known. */
const GAP_MS = 3 * 3600_000;
const DAY_MS = 24 * 3600_000;

type Point = Pick<FleetHourItem, "at" | "hosts" | "reporting" | "withAi" | "critical" | "warning">;
type Series = { name: string; look: string; href: string; of: (point: Point) => number };

const HOSTS: readonly Series[] = [
  { name: "Reporting", look: "reporting", href: "/assets?state=reporting", of: ({ reporting }) => reporting },
  { name: "With AI", look: "ai", href: "/assets?state=ai", of: ({ withAi }) => withAi },
];
const INCIDENTS: readonly Series[] = [
  { name: "Critical", look: "critical", href: "/incidents?risk=CRITICAL", of: ({ critical }) => critical },
  { name: "Warning", look: "warning", href: "/incidents?risk=WARNING", of: ({ warning }) => warning },
];

/** The week behind: hosts and open incidents by the hour, the newest point from the page's own numbers. */
export const FleetTrend = ({ hours, now }: { hours: readonly FleetHourItem[]; now: Point }) => {
  const points: Point[] = [...hours.filter(({ at }) => at < now.at), now];
  const [first] = points;
  const isOld = Date.parse(now.at) - Date.parse(first!.at) > 60_000;
  return (
    <section id="trend" class="card" data-live aria-labelledby="trend-title">
      <div class="card-head">
        <h2 id="trend-title">The week behind</h2>
      </div>
      {points.length < 2 || !isOld ? (
        <p class="muted">
          The fleet is counted every hour, and the last hours are drawn here. So far there is one count:{" "}
          {plural(now.reporting, "host")} reporting, {now.withAi.toLocaleString("en")} with AI.
        </p>
      ) : (
        <>
          <div class="columns">
            <Lines title="Hosts" series={HOSTS} points={points} />
            <Lines title="Open incidents" series={INCIDENTS} points={points} />
          </div>
          <DayTable points={points} />
        </>
      )}
    </section>
  );
};

const Lines = ({
  title,
  series,
  points,
}: {
  title: string;
  series: readonly Series[];
  points: readonly Point[];
}) => {
  const [startMs, endMs] = [Date.parse(points[0]!.at), Date.parse(points.at(-1)!.at)];
  const most = Math.max(1, ...points.flatMap((point) => series.map(({ of }) => of(point))));
  const x = (at: string) => round(((Date.parse(at) - startMs) / (endMs - startMs)) * WIDTH);
  const y = (count: number) => round(HEIGHT - 2 - (count / most) * (HEIGHT - 6));
  return (
    <figure class="trend">
      <figcaption>
        <h3>{title}</h3>
        <ul class="legend">
          {series.map(({ name, look, href, of }) => (
            <li data-key={name}>
              <svg class="swatch" width="20" height="10" aria-hidden="true" focusable="false">
                <line class={`line ${look}`} x1="0" x2="20" y1="5" y2="5" />
              </svg>
              <a href={href}>{name}</a>
              <span class="number">{of(points.at(-1)!).toLocaleString("en")}</span>
            </li>
          ))}
        </ul>
      </figcaption>
      <p class="muted small">at most {most.toLocaleString("en")}</p>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        width="100%"
        height={HEIGHT}
        preserveAspectRatio="none"
        aria-hidden="true"
        focusable="false"
      >
        {[0, most].map((count) => (
          <line
            class="rule"
            x1="0"
            x2={WIDTH}
            y1={y(count)}
            y2={y(count)}
            vector-effect="non-scaling-stroke"
          />
        ))}
        {series.map(({ look, of }) => (
          <path
            class={`line ${look}`}
            d={pathOf(points, (point) => [x(point.at), y(of(point))])}
            fill="none"
            vector-effect="non-scaling-stroke"
          />
        ))}
      </svg>
      <p class="axis muted small">
        <span>
          <Moment at={points[0]!.at} />
        </span>
        <span>now</span>
      </p>
    </figure>
  );
};

const round = (value: number): number => Math.round(value * 10) / 10;

/** Steps: a count holds until the next one. Where there was none for long the line has a gap. */
function pathOf(points: readonly Point[], place: (point: Point) => [number, number]): string {
  let path = "";
  for (const [index, point] of points.entries()) {
    const [x, y] = place(point);
    const before = points[index - 1];
    const isBroken = !before || Date.parse(point.at) - Date.parse(before.at) > GAP_MS;
    path += isBroken ? `M${x} ${y}` : `H${x}V${y}`;
  }
  return path;
}

/** The same as a table, one row a day: the last count of it. */
const DayTable = ({ points }: { points: readonly Point[] }) => {
  const days = new Map(points.map((point) => [Math.floor(Date.parse(point.at) / DAY_MS), point]));
  return (
    <details>
      <summary>As a table, by day (UTC)</summary>
      <table class="days">
        <thead>
          <tr>
            {["Day", "Hosts", "Reporting", "With AI", "Critical", "Warning"].map((head, index) => (
              <th scope="col" class={index > 0 ? "number" : undefined}>
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {[...days.values()].reverse().map((point) => (
            <tr>
              <th scope="row">{point.at.slice(0, 10)}</th>
              {[point.hosts, point.reporting, point.withAi, point.critical, point.warning].map((count) => (
                <td class="number">{count.toLocaleString("en")}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
};
