import type { Change } from "../assets/state-diff.ts";
import { Ago } from "./time.tsx";

const MARKS: Record<Change["kind"], { sign: string; words: string }> = {
  appeared: { sign: "+", words: "new" },
  gone: { sign: "−", words: "gone" },
  worse: { sign: "!", words: "worse" },
  better: { sign: "✓", words: "better" },
  note: { sign: "·", words: "note" },
};

/**
 * Changes that happened at the same time. `end`: text at the end of the entry, for example the risk score or
 * the operator.
 */
export type Moment = { at: string; changes: readonly Change[]; end: string };

/** A list of changes. The caller must sort the changes, newest first. */
export const Timeline = ({ moments, now }: { moments: readonly Moment[]; now: number }) => (
  <ol class="timeline">
    {moments.map(({ at, changes, end }) => (
      <li data-key={`${at} ${end}`}>
        <p class="muted small nowrap">
          <Ago at={at} now={now} />
        </p>
        <ul>
          {changes.map((change) => (
            <li class={`change ${change.kind}`}>
              <span class="sign" aria-hidden="true">
                {MARKS[change.kind].sign}
              </span>
              <span class="hidden">{MARKS[change.kind].words}: </span>
              <bdi>{change.words}</bdi>
            </li>
          ))}
        </ul>
        <p class="muted small nowrap">
          <bdi>{end}</bdi>
        </p>
      </li>
    ))}
  </ol>
);
