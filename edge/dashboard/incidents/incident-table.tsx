import type { IncidentView } from "../../control/incidents/list-incidents.ts";
import { Badge, RiskBadge } from "../components/badges.tsx";
import { Age, Ago } from "../components/time.tsx";

/** Incidents as rows: what and where, why, and how old. On an asset's own page the host is left out. */
export const IncidentList = ({
  incidents,
  now,
  onAsset,
  form,
}: {
  incidents: readonly IncidentView[];
  now: number;
  onAsset?: boolean;
  /** Id of the form that the rows' boxes belong to; without it there are none. */
  form?: string | undefined;
}) => (
  <ul class="incidents">
    {incidents.map((incident) => (
      <IncidentRow incident={incident} now={now} onAsset={onAsset ?? false} form={form} />
    ))}
  </ul>
);

/** An acknowledgement from before this opening belongs to an earlier life of the incident. */
export const isAcknowledged = ({ acknowledgedAt, openedAt }: IncidentView): boolean =>
  acknowledgedAt !== undefined && acknowledgedAt >= openedAt;

const IncidentRow = ({
  incident,
  now,
  onAsset,
  form,
}: {
  incident: IncidentView;
  now: number;
  onAsset: boolean;
  form: string | undefined;
}) => {
  const open = incident.status === "OPEN";
  return (
    <li data-key={incident.id} class={open ? `incident ${incident.risk.toLowerCase()}` : "incident resolved"}>
      <div class="incident-risk">
        {form !== undefined && open && !isAcknowledged(incident) && (
          <input
            type="checkbox"
            form={form}
            name={incident.id}
            value={incident.openedAt}
            aria-label={`Tick ${incident.engineName} on ${incident.hostname}: ${incident.rule}`}
            autocomplete="off"
          />
        )}
        {open ? (
          <RiskBadge risk={incident.risk} />
        ) : (
          <Badge tone="quiet" icon="ok">
            Resolved
          </Badge>
        )}
      </div>
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
      <div class="incident-when muted small">
        <p>
          <code>{incident.rule}</code>
        </p>
        <p>
          {String(incident.points)} points · {open ? "open for " : "opened "}
          {open ? <Age since={incident.openedAt} now={now} /> : <Ago at={incident.openedAt} now={now} />}
        </p>
        <p>
          Seen <Ago at={incident.lastSeenAt} now={now} />
        </p>
      </div>
    </li>
  );
};
