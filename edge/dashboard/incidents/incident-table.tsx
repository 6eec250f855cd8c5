import type { IncidentView } from "../../control/incidents/list-incidents.ts";
import { Badge, RiskBadge } from "../components/badges.tsx";
import { Age, Ago } from "../components/time.tsx";

type RowOptions = {
  now: number;
  /** True on the page of a host, where the rows omit the host name. */
  onAsset?: boolean;
  /** Id of the form that the checkboxes of the rows belong to. If absent, the rows have no checkboxes. */
  form?: string | undefined;
};

/** A list of incidents. Each row shows the risk, engine, host, explanation, rule and age. */
export const IncidentList = ({
  incidents,
  ...options
}: { incidents: readonly IncidentView[] } & RowOptions) => (
  <ul class="incidents">
    {incidents.map((incident) => (
      <IncidentRow incident={incident} options={options} />
    ))}
  </ul>
);

/** Whether an incident is acknowledged. If an incident was reopened, earlier acknowledgements do not count. */
export const isAcknowledged = ({ acknowledgedAt, openedAt }: IncidentView): boolean =>
  acknowledgedAt !== undefined && acknowledgedAt >= openedAt;

type RowProps = { incident: IncidentView; options: RowOptions };

const IncidentRow = ({ incident, options }: RowProps) => (
  <li
    data-key={incident.id}
    class={incident.status === "OPEN" ? `incident ${incident.risk.toLowerCase()}` : "incident resolved"}
  >
    <RiskCell incident={incident} options={options} />
    <DescriptionCell incident={incident} options={options} />
    <AgeCell incident={incident} options={options} />
  </li>
);

const RiskCell = ({ incident, options: { form } }: RowProps) => {
  const isOpen = incident.status === "OPEN";
  return (
    <div class="incident-risk">
      {form !== undefined && isOpen && !isAcknowledged(incident) && (
        <input
          type="checkbox"
          form={form}
          name={incident.id}
          value={incident.openedAt}
          aria-label={`Select ${incident.engineName} on ${incident.hostname}: ${incident.rule}`}
          autocomplete="off"
        />
      )}
      {isOpen ? (
        <RiskBadge risk={incident.risk} />
      ) : (
        <Badge tone="quiet" icon="ok">
          Resolved
        </Badge>
      )}
    </div>
  );
};

const DescriptionCell = ({ incident, options: { now, onAsset = false } }: RowProps) => (
  <div class="incident-what">
    <p class="incident-title">
      <a href={`/incidents/${incident.id}`}>
        <bdi>{incident.engineName}</bdi>
      </a>
      {!onAsset && (
        <>
          {" on "}
          <a href={`/assets/${incident.assetId}`}>
            <bdi>{incident.hostname}</bdi>
          </a>
        </>
      )}
    </p>
    <p>
      <bdi dir="ltr">{incident.explanation}</bdi>
    </p>
    {isAcknowledged(incident) && (
      <p class="muted small">
        Acknowledged by <bdi>{incident.acknowledgedBy}</bdi>{" "}
        <Ago at={incident.acknowledgedAt ?? incident.openedAt} now={now} />
      </p>
    )}
    {incident.resolution && (
      <p class="muted">
        Resolved: <bdi>{incident.resolution}</bdi>
      </p>
    )}
  </div>
);

const AgeCell = ({ incident, options: { now } }: RowProps) => (
  <div class="incident-when muted small">
    <p>
      <code>{incident.rule}</code>
    </p>
    <p>
      {String(incident.points)} points ·{" "}
      {incident.status === "OPEN" ? (
        <>
          open for <Age since={incident.openedAt} now={now} />
        </>
      ) : (
        <>
          opened <Ago at={incident.openedAt} now={now} />
        </>
      )}
    </p>
    <p>
      Seen <Ago at={incident.lastSeenAt} now={now} />
    </p>
  </div>
);
