import type { IncidentView } from "../../control/incidents/list-incidents.ts";
import type { Page } from "../../control/table-query.ts";
import { type AgeBucket, AgeTable } from "../charts/bar-charts.tsx";
import { Empty } from "../components/layout.tsx";
import { AGES, isOfAge } from "../incidents/incident-search.ts";
import { IncidentList } from "../incidents/incident-table.tsx";
import { INCIDENTS_READ_MAX, type Overview } from "./overview-data.ts";

const SHOWN_MAX = 5;

/** Shows the open incidents with the most points (critical ones first) and the ages of all open incidents. */
export const WorstIncidents = ({ overview }: { overview: Overview }) => {
  const { critical, warning, now } = overview;
  const byPoints = (page: Page<IncidentView>) => [...page.items].sort((a, b) => b.points - a.points);
  const worst = [...byPoints(critical), ...byPoints(warning)].slice(0, SHOWN_MAX);
  const total = critical.items.length + warning.items.length;
  const isComplete = (critical.cursor ?? warning.cursor) === undefined;
  return (
    <section id="worst" class="card" data-live aria-labelledby="worst-title">
      <div class="card-head">
        <h2 id="worst-title">Worst open incidents</h2>
        {total > 0 && (
          <a href="/incidents">All {isComplete && total > SHOWN_MAX ? `${total} ` : ""}open incidents</a>
        )}
      </div>
      {worst.length > 0 ? (
        <>
          <IncidentList incidents={worst} now={now} />
          <AgeTable
            title={
              isComplete
                ? "Age of open incidents"
                : `Age of the newest ${INCIDENTS_READ_MAX} open incidents of each risk`
            }
            buckets={bucketsOf(critical.items, warning.items, now)}
          />
        </>
      ) : (
        <Empty title="No open incidents" icon="ok">
          Nothing that agents reported violates your policy.
        </Empty>
      )}
    </section>
  );
};

const bucketsOf = (critical: IncidentView[], warning: IncidentView[], now: number): AgeBucket[] =>
  AGES.map(({ age, name }) => ({
    name,
    critical: critical.filter((incident) => isOfAge(incident, age, now)).length,
    warning: warning.filter((incident) => isOfAge(incident, age, now)).length,
    hrefOf: (risk) => `/incidents?${new URLSearchParams({ risk: risk.toUpperCase(), age })}`,
  }));
