import type { IncidentView } from "../../control/incidents/list-incidents.ts";
import { RiskBadge } from "../components/badges.tsx";
import { Moment } from "../components/time.tsx";
import type { Period } from "./detections-in-period.ts";
import type { Evidence } from "./report-data.ts";
import { CsvLink, Fact, MoreRows, number, ROWS_MAX, Section } from "./report-section.tsx";

/** Incidents that were open at any time in the period. */
export const IncidentsSection = ({
  incidents,
  period,
}: {
  incidents: Evidence["incidents"];
  period: Period;
}) => (
  <Section id="incidents" title="Incidents">
    <dl class="facts">
      <Fact name="Incidents opened">
        {number(incidents.opened)} ({number(incidents.critical)} critical, {number(incidents.warning)}{" "}
        warning)
      </Fact>
      <Fact name="Acknowledged by a person">{number(incidents.acknowledged)}</Fact>
      <Fact name="Resolved by a person">{number(incidents.resolvedByPeople)}</Fact>
      <Fact name="Closed automatically after the condition was gone">
        {number(incidents.resolvedByQuiet)}
      </Fact>
      <Fact name="Still open, and opened on or before the last day">{number(incidents.stillOpen)}</Fact>
    </dl>
    <p class="muted">
      There is one incident for each combination of host, rule and engine. An incident that was reopened
      appears once, with the time of its last opening.
    </p>
    {incidents.list.length > 0 && (
      <>
        <IncidentsTable incidents={incidents.list.slice(0, ROWS_MAX)} />
        <MoreRows total={incidents.list.length} />
        <CsvLink list="incidents" period={period} />
      </>
    )}
  </Section>
);

const IncidentsTable = ({ incidents }: { incidents: readonly IncidentView[] }) => (
  <table class="assets">
    <thead>
      <tr>
        <th scope="col">Incident</th>
        <th scope="col">Risk</th>
        <th scope="col">Opened</th>
        <th scope="col">Outcome</th>
      </tr>
    </thead>
    <tbody>
      {incidents.map((incident) => (
        <tr>
          <th scope="row">
            <a href={`/incidents/${incident.id}`}>
              <bdi>{incident.engineName}</bdi> on <bdi>{incident.hostname}</bdi>
            </a>
            <p class="muted small">
              <bdi>{incident.title ?? incident.rule}</bdi>
            </p>
          </th>
          <td data-label="Risk">
            <RiskBadge risk={incident.risk} />
          </td>
          <td data-label="Opened" class="nowrap">
            <Moment at={incident.openedAt} />
          </td>
          <td data-label="Outcome">
            {incident.resolvedAt === undefined ? (
              "Open"
            ) : (
              <>
                <Moment at={incident.resolvedAt} />: <bdi>{incident.resolution ?? "resolved"}</bdi>
              </>
            )}
          </td>
        </tr>
      ))}
    </tbody>
  </table>
);
