import { timestamp } from "../../../shared/time/clock.ts";
import { Icon } from "./icon.tsx";
import { AGE_TOLD_MS, Ago } from "./time.tsx";

type Picture = { readAtMs: number; complete: boolean };

/**
 * How old the pictures are that a page was made of, and whether they hold the whole fleet. One that was read for this
 * very page needs no age: the page tells its own.
 */
export const Counted = ({ of, now }: { of: readonly Picture[]; now: number }) => {
  const atMs = Math.min(...of.map(({ readAtMs }) => readAtMs));
  return (
    <div id="counted" class="stack" data-live>
      {now - atMs > AGE_TOLD_MS && (
        <p class="muted small">
          Counted <Ago at={timestamp(atMs)} now={now} />; a newer count is on its way.
        </p>
      )}
      {of.some(({ complete }) => !complete) && <Incomplete />}
    </div>
  );
};

export const Incomplete = () => (
  <p class="strip warning">
    <Icon name="warning" />
    The fleet is larger than what is counted here: the first part of it is shown.
  </p>
);
