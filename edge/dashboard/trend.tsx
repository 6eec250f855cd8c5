import type { TelemetryChange } from "../../shared/table/items/telemetry.ts";
import { plural } from "./badges.tsx";
import { Moment } from "./time.tsx";

const [WIDTH, HEIGHT] = [600, 64];

/**
 * Risk score over time as steps: a state holds until the next one. The entries below the chart are its table.
 * Percentages and a stretched view box make one drawing fit every width; strokes do not stretch with it.
 */
export const TrendChart = ({ changes, until }: { changes: readonly TelemetryChange[]; until: string }) => {
  if (changes.length < 2) return null;
  const oldestFirst = [...changes].reverse();
  const start = Date.parse(oldestFirst[0]!.at);
  // To the last heartbeat and no further: what a silent host does now is not drawn.
  const span = Math.max(1, Date.parse(until) - start);
  const x = (at: number) => Math.round(((at - start) / span) * WIDTH * 10) / 10;
  const y = (score: number) => Math.round((HEIGHT - 2 - (score / 100) * (HEIGHT - 6)) * 10) / 10;
  const steps = oldestFirst.map(({ at, score }) => `H${x(Date.parse(at))}V${y(score)}`).join("");
  const line = `M0 ${y(oldestFirst[0]!.score)}${steps}H${WIDTH}`;
  const peak = Math.max(...oldestFirst.map(({ score }) => score));
  const label = `Risk score over ${plural(changes.length, "state")}, last ${changes[0]!.score}, at most ${peak}`;
  return (
    <figure class="trend">
      <figcaption class="muted small">{label}</figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        width="100%"
        height={HEIGHT}
        preserveAspectRatio="none"
        aria-hidden="true"
      >
        {[0, 50, 100].map((score) => (
          <line
            class="rule"
            x1="0"
            x2={WIDTH}
            y1={y(score)}
            y2={y(score)}
            vector-effect="non-scaling-stroke"
          />
        ))}
        <path class="area" d={`${line}V${HEIGHT}H0Z`} />
        <path class="line" d={line} fill="none" vector-effect="non-scaling-stroke" />
      </svg>
      <p class="axis muted small">
        <span>
          <Moment at={oldestFirst[0]!.at} />
        </span>
        <span>last heartbeat</span>
      </p>
    </figure>
  );
};
