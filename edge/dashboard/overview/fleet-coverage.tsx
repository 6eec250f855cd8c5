import { timestamp } from "../../../shared/time/clock.ts";
import { ExpiredHostsLink } from "../assets/lifecycle-notices.tsx";
import { PartsBar } from "../charts/bar-charts.tsx";
import { plural } from "../components/badges.tsx";
import { IncompleteNotice } from "../components/count-notices.tsx";
import { Icon } from "../components/icon.tsx";
import { AGE_SHOWN_AFTER_MS, Ago } from "../components/time.tsx";
import type { FleetNumbers } from "./fleet-cache.ts";

/** Shows how many hosts report, are silent, or were never seen, and how many have sources that failed. */
export const FleetCoverage = ({ fleet, now }: { fleet: FleetNumbers; now: number }) => {
  const { counts, complete, atMs } = fleet;
  return (
    <section id="coverage" class="card" data-live aria-labelledby="coverage-title">
      <div class="card-head">
        <h2 id="coverage-title">Fleet coverage</h2>
        <a href="/assets">All hosts</a>
      </div>
      <PartsBar
        id="coverage-bar"
        parts={[
          { name: "Reporting", count: counts.reporting, look: "reporting", href: "/assets?state=reporting" },
          { name: "Silent", count: counts.silent, look: "silent", href: "/assets?state=silent" },
          { name: "Never seen", count: counts.never, look: "never", href: "/assets?state=never" },
        ]}
      />
      {now - atMs > AGE_SHOWN_AFTER_MS && (
        <p class="muted small">
          The fleet was counted <Ago at={timestamp(atMs)} now={now} />. A new count is running.
        </p>
      )}
      {!complete && <IncompleteNotice />}
      <ExpiredHostsLink count={counts.expired} />
      {counts.withFailedSources > 0 ? (
        <div class="strip warning">
          <p>
            <Icon name="warning" />
            <a href="/assets?state=collectors">
              {`${plural(counts.withFailedSources, "host")} with sources that could not be read`}
            </a>
            . The counts do not include AI that only these sources would detect.
          </p>
        </div>
      ) : (
        <p class="muted">
          No source failed on a reporting host. If a source was not read completely, the page of its host says
          so.
        </p>
      )}
    </section>
  );
};
