import { curveStepAfter, line } from "d3-shape";
import type { FleetHourItem } from "../../../shared/table/items/fleet.ts";
import { DAY_MS } from "../../../shared/time/durations.ts";
import { plural } from "../components/badges.tsx";
import { Moment } from "../components/time.tsx";
import { Plot, type PlotScales, plotScales } from "./plot.tsx";

const HEIGHT = 112;
/**
 * Maximum time between two connected counts. If the time is longer, the line has a gap, because the values in
 * between are unknown.
 */
const GAP_MS = 3 * 3600_000;

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

/**
 * Charts of the hosts and the open incidents of the last seven days, with one point for each hour. `now`: the
 * newest point, which uses the numbers on the page.
 */
export const FleetTrend = ({ hours, now }: { hours: readonly FleetHourItem[]; now: Point }) => {
  const points: Point[] = [...hours.filter(({ at }) => at < now.at), now];
  const [first] = points;
  const isOld = Date.parse(now.at) - Date.parse(first!.at) > 60_000;
  return (
    <section id="trend" class="card" data-live aria-labelledby="trend-title">
      <div class="card-head">
        <h2 id="trend-title">Last 7 days</h2>
      </div>
      {points.length < 2 || !isOld ? (
        <p class="muted">
          {`The fleet is counted every hour, and the chart appears after the second count. First count: ${plural(now.reporting, "host")} reporting, ${now.withAi.toLocaleString("en")} with AI.`}
        </p>
      ) : (
        <>
          <div class="columns">
            <Lines title="Hosts" series={HOSTS} points={points} />
            <Lines title="Open incidents" series={INCIDENTS} points={points} />
          </div>
          <p class="muted small">
            Counted every hour from <Moment at={first!.at} /> to now. Times on the axis are UTC.
          </p>
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
  const newest = points.at(-1)!;
  const most = Math.max(...points.flatMap((point) => series.map(({ of }) => of(point))));
  const scales = plotScales(Date.parse(points[0]!.at), Date.parse(newest.at), most, HEIGHT);
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
              <a href={href}>
                {name} <span class="number">{of(newest).toLocaleString("en")}</span>
              </a>
            </li>
          ))}
        </ul>
      </figcaption>
      <Plot scales={scales}>
        {series.map(({ look, of }) => (
          <path
            class={`line ${look}`}
            d={pathOf(points, of, scales)}
            fill="none"
            vector-effect="non-scaling-stroke"
          />
        ))}
      </Plot>
    </figure>
  );
};

/**
 * Draws the line in steps, because a count is valid until the next count. The line has a gap where no count
 * exists for {@link GAP_MS}.
 */
export function pathOf(
  points: readonly Point[],
  of: (point: Point) => number,
  { time, level }: Pick<PlotScales, "time" | "level">,
): string {
  const known = points.flatMap((point, index) => {
    const before = points[index - 1];
    const isBroken = before && Date.parse(point.at) - Date.parse(before.at) > GAP_MS;
    return isBroken ? [undefined, point] : [point];
  });
  const draw = line<Point | undefined>(
    (point) => time(Date.parse(point!.at)),
    (point) => level(of(point!)),
  )
    .defined((point) => point !== undefined)
    .curve(curveStepAfter)
    .digits(1);
  return draw(known) ?? "";
}

/** The trend as a table with the last count of each day. */
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
