import { scaleLinear } from "d3-scale";
import { stack } from "d3-shape";

export type Bar = { name: string; count: number; href?: string };

/**
 * Returns a function that converts a count (0 to `most`) to a width in percent. Widths in percent fit every
 * screen.
 */
function widths(most: number): (count: number) => string {
  const scale = scaleLinear([0, Math.max(1, most)], [0, 100]).clamp(true);
  return (count) => `${Math.round(scale(count) * 10) / 10}%`;
}

/** A bar chart in a table. Screen readers skip the bars and read the name and the number beside them. */
export const BarTable = ({
  title,
  of,
  bars,
}: {
  title: [what: string, unit: string];
  of: number;
  bars: Bar[];
}) => {
  const width = widths(of);
  return (
    <table class="bars">
      <caption class="hidden">{`${title[0]} by ${title[1]}`}</caption>
      <colgroup>
        <col class="bars-name" />
        <col />
        <col class="bars-count" />
      </colgroup>
      <thead class="hidden">
        <tr>
          <th scope="col">{title[0]}</th>
          <th scope="col">Chart</th>
          <th scope="col">{title[1]}</th>
        </tr>
      </thead>
      <tbody>
        {bars.map((bar) => (
          <tr data-key={bar.name}>
            <th scope="row">
              {bar.href ? (
                <a href={bar.href}>
                  <bdi>{bar.name}</bdi>
                </a>
              ) : (
                <bdi>{bar.name}</bdi>
              )}
            </th>
            <td>
              <svg class="bar" width="100%" height="10" aria-hidden="true" focusable="false">
                <rect class="track" width="100%" height="10" rx="3" />
                <rect class="fill" width={width(bar.count)} height="10" rx="3" />
              </svg>
            </td>
            <td class="number">{linked(bar.count, bar.href)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
};

/** Shows a number. If `href` is given, the number links to the list of the counted items. */
const linked = (count: number, href: string | undefined) => {
  const words = count.toLocaleString("en");
  return href === undefined ? words : <a href={href}>{words}</a>;
};

const AGE_RISKS = ["critical", "warning"] as const;
type AgeRisk = (typeof AGE_RISKS)[number];
export type AgeBucket = { name: string; hrefOf?: (risk: AgeRisk) => string } & Record<AgeRisk, number>;

/**
 * A table of open incidents by age. Each row has one stacked bar of critical incidents and warnings, with the
 * numbers beside the bar.
 */
export const AgeTable = ({ title, buckets }: { title: string; buckets: AgeBucket[] }) => {
  const width = widths(Math.max(...buckets.map(({ critical, warning }) => critical + warning)));
  const layers = stack<AgeBucket, AgeRisk>().keys(AGE_RISKS)(buckets);
  return (
    <table class="ages">
      <caption>{title}</caption>
      <thead>
        <tr>
          <th scope="col">Opened</th>
          <th scope="col">
            <span class="hidden">Chart</span>
          </th>
          <th scope="col" class="number">
            Critical
          </th>
          <th scope="col" class="number">
            Warning
          </th>
        </tr>
      </thead>
      <tbody>
        {buckets.map(({ name, critical, warning, hrefOf }, row) => (
          <tr data-key={name}>
            <th scope="row">{name}</th>
            <td>
              <svg class="bar" width="100%" height="10" aria-hidden="true" focusable="false">
                <rect class="track" width="100%" height="10" rx="3" />
                {layers.map((layer) => {
                  const [from, to] = layer[row]!;
                  return (
                    <rect
                      class={`fill ${layer.key}`}
                      x={width(from)}
                      width={width(to - from)}
                      height="10"
                      rx="3"
                    />
                  );
                })}
              </svg>
            </td>
            <td class="number">{linked(critical, hrefOf?.("critical"))}</td>
            <td class="number">{linked(warning, hrefOf?.("warning"))}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
};

export type Part = { name: string; count: number; look: "reporting" | "silent" | "never"; href: string };

/**
 * One bar divided into segments, for example reporting, silent and never-seen hosts. The segment for silent
 * hosts also has a pattern. The legend shows the numbers.
 */
export const PartsBar = ({ id, parts }: { id: string; parts: Part[] }) => {
  const width = widths(parts.reduce((sum, part) => sum + part.count, 0));
  const counts = Object.fromEntries(parts.map(({ name, count }) => [name, count]));
  const layers = stack().keys(parts.map(({ name }) => name))([counts]);
  return (
    <div class="parts">
      <svg class="parts-bar" width="100%" height="18" aria-hidden="true" focusable="false">
        <defs>
          <pattern
            id={`${id}-silent`}
            width="7"
            height="7"
            patternUnits="userSpaceOnUse"
            patternTransform="rotate(45)"
          >
            <rect class="part silent" width="7" height="7" />
            <rect class="hatch" width="2.5" height="7" />
          </pattern>
        </defs>
        {parts.map((part, index) => {
          const [from, to] = layers[index]![0]!;
          const fill =
            part.look === "silent" ? { fill: `url(#${id}-silent)` } : { class: `part ${part.look}` };
          return <rect x={width(from)} width={width(to - from)} height="18" {...fill} />;
        })}
      </svg>
      <ul class="legend">
        {parts.map((part) => (
          <li data-key={part.name}>
            <svg class="swatch" width="14" height="14" aria-hidden="true" focusable="false">
              {part.look === "silent" ? (
                <rect width="14" height="14" rx="3" fill={`url(#${id}-silent)`} />
              ) : (
                <rect width="14" height="14" rx="3" class={`part ${part.look}`} />
              )}
            </svg>
            <a href={part.href}>
              {part.name} <span class="number">{part.count.toLocaleString("en")}</span>
            </a>
          </li>
        ))}
      </ul>
    </div>
  );
};

/** A percentage as a short bar with the number beside it. */
export const Meter = ({ value, label }: { value: number; label: string }) => (
  <span class="meter">
    <svg class="bar" width="64" height="8" aria-hidden="true" focusable="false">
      <rect class="track" width="64" height="8" rx="3" />
      <rect class="fill" width={(64 * value) / 100} height="8" rx="3" />
    </svg>
    <span>
      {value}% {label}
    </span>
  </span>
);
