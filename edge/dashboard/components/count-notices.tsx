import { timestamp } from "../../../shared/time/clock.ts";
import { Icon } from "./icon.tsx";
import { AGE_SHOWN_AFTER_MS, Ago } from "./time.tsx";

type CachedRead = { readAtMs: number; complete: boolean };

/** Says how old the oldest cached data on a page is, and whether the data is complete. */
export const CountNotices = ({ of, now }: { of: readonly CachedRead[]; now: number }) => {
  const atMs = Math.min(...of.map(({ readAtMs }) => readAtMs));
  return (
    <div id="counted" class="stack" data-live>
      {now - atMs > AGE_SHOWN_AFTER_MS && (
        <p class="muted small">
          Counted <Ago at={timestamp(atMs)} now={now} />. A new count is running.
        </p>
      )}
      {of.some(({ complete }) => !complete) && <IncompleteNotice />}
    </div>
  );
};

export const IncompleteNotice = () => (
  <p class="strip warning">
    <Icon name="warning" />
    The fleet is too large to count here. These numbers cover only some of the hosts.
  </p>
);
