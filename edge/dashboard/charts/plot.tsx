import { type ScaleLinear, type ScaleTime, scaleLinear, scaleUtc } from "d3-scale";
import type { Child } from "hono/jsx";
import { DAY_MS } from "../../../shared/time/durations.ts";

/** Width of a plot in SVG units. The plot is stretched to the available width, but its strokes and labels are not. */
export const PLOT_WIDTH = 600;
const TOP = 8;
const LEVELS_WIDTH = 36;
const AXIS_HEIGHT = 20;
/** Minimum distance between time labels, as a fraction of the width. Closer labels would overlap on a phone. */
const LABEL_SHARE = 0.16;
const EDGE_SHARE = 0.07;
const MOMENTS_WANTED = 6;

export type PlotScales = {
  height: number;
  time: ScaleTime<number, number>;
  level: ScaleLinear<number, number>;
};

/**
 * Scales of a plot. The time scale runs from `startMs` to `endMs`. The value scale runs from 0 to a round
 * number that is at least `most`.
 */
export const plotScales = (startMs: number, endMs: number, most: number, height: number): PlotScales => ({
  height,
  time: scaleUtc([startMs, Math.max(endMs, startMs + 1)], [0, PLOT_WIDTH]),
  level: scaleLinear([0, Math.max(1, most)], [height - 2, TOP]).nice(2),
});

/**
 * Label of a time mark: `16 Nov` at midnight, otherwise the time, such as `06:00`. Uses UTC, because the
 * server does not know the user's time zone.
 */
const momentLabel = (at: Date): string =>
  at.getTime() % DAY_MS === 0
    ? at.toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" })
    : at.toISOString().slice(11, 16);

/**
 * Returns the marks of the time axis. Leaves out marks whose labels would not fit. `share`: position as a
 * fraction of the width.
 */
export function momentMarks(time: PlotScales["time"]): { label: string; share: number }[] {
  const marks: { label: string; share: number }[] = [];
  for (const at of time.ticks(MOMENTS_WANTED)) {
    const share = time(at) / PLOT_WIDTH;
    const label = momentLabel(at);
    const before = marks.at(-1);
    const isInside = share >= EDGE_SHARE && share <= 1 - EDGE_SHARE;
    const hasRoom = !before || share - before.share >= LABEL_SHARE;
    // Marks within the same minute would have the same label.
    if (isInside && hasRoom && label !== before?.label) marks.push({ label, share });
  }
  return marks;
}

/** Marks of the value axis. They are whole numbers, because the axis counts hosts or incidents. */
export const levelMarks = (level: PlotScales["level"]): number[] => level.ticks(2).filter(Number.isInteger);

const percent = (share: number): string => `${Math.round(share * 1000) / 10}%`;

/**
 * A plot with axes. `children` draw in the units of the scales. Value labels have a column of fixed width.
 * Time labels have positions in percent, so that the plot fits every width. Screen readers skip the plot and
 * read the table beside it.
 */
export const Plot = ({ scales, children }: { scales: PlotScales; children: Child }) => {
  const { height, time, level } = scales;
  const [levels, moments] = [levelMarks(level), momentMarks(time)];
  return (
    <div class="plot">
      <svg width={LEVELS_WIDTH} height={height + AXIS_HEIGHT} aria-hidden="true" focusable="false">
        {levels.map((count) => (
          <text x={LEVELS_WIDTH - 8} y={level(count)} dy="0.32em" text-anchor="end">
            {count.toLocaleString("en")}
          </text>
        ))}
      </svg>
      <svg width="100%" height={height + AXIS_HEIGHT} aria-hidden="true" focusable="false">
        {levels.map((count) => (
          <line class="rule" x2="100%" y1={level(count)} y2={level(count)} />
        ))}
        {moments.map(({ label, share }) => (
          <>
            <line class="rule" x1={percent(share)} x2={percent(share)} y1={height - 2} y2={height + 3} />
            <text x={percent(share)} y={height + 16} text-anchor="middle">
              {label}
            </text>
          </>
        ))}
        <svg
          class="drawn"
          aria-hidden="true"
          viewBox={`0 0 ${PLOT_WIDTH} ${height}`}
          width="100%"
          height={height}
          preserveAspectRatio="none"
        >
          {children}
        </svg>
      </svg>
    </div>
  );
};
