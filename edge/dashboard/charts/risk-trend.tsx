import { area, curveStepAfter, line } from "d3-shape";
import type { TelemetryChange } from "../../../shared/table/items/asset/telemetry.ts";
import { plural } from "../components/badges.tsx";
import { Moment } from "../components/time.tsx";
import { Plot, plotScales } from "./plot.tsx";

const HEIGHT = 88;
const SCORE_MAX = 100;

/** The risk score over time, in steps. The timeline below the chart has the same data as text. */
export const RiskTrend = ({ changes, until }: { changes: readonly TelemetryChange[]; until: string }) => {
  if (changes.length < 2) return null;
  const oldestFirst = [...changes].reverse();
  const [oldest, newest] = [oldestFirst[0]!, changes[0]!];
  // The line ends at the last heartbeat, because the state of a silent host is unknown.
  const points = [...oldestFirst, { at: until, score: newest.score }];
  const scales = plotScales(Date.parse(oldest.at), Date.parse(until), SCORE_MAX, HEIGHT);
  const x = ({ at }: { at: string }) => scales.time(Date.parse(at));
  const y = ({ score }: { score: number }) => scales.level(score);
  const drawArea = area<(typeof points)[number]>(x, scales.level(0), y).curve(curveStepAfter).digits(1);
  const drawLine = line<(typeof points)[number]>(x, y).curve(curveStepAfter).digits(1);
  const peak = Math.max(...oldestFirst.map(({ score }) => score));
  return (
    <figure class="trend">
      <figcaption class="muted small">
        {`Risk score over ${plural(changes.length, "state")}: now ${newest.score}, highest ${peak}`}
      </figcaption>
      <Plot scales={scales}>
        <path class="area" d={drawArea(points) ?? ""} />
        <path class="line" d={drawLine(points) ?? ""} fill="none" vector-effect="non-scaling-stroke" />
      </Plot>
      <p class="muted small">
        From <Moment at={oldest.at} /> to the last heartbeat. Times on the axis are UTC.
      </p>
    </figure>
  );
};
