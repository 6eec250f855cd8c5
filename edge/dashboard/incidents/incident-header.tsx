import { reportingOf } from "../../../shared/fleet/reporting.ts";
import { mayRespond } from "../../auth/authenticate.ts";
import type { Admin } from "../../auth/permissions.ts";
import type { AssetView } from "../../control/assets/asset-view.ts";
import type { IncidentView } from "../../control/incidents/list-incidents.ts";
import { Badge, ContainmentBadge, ReportingBadge, RiskBadge } from "../components/badges.tsx";
import { Age, Ago } from "../components/time.tsx";

type Header = { incident: IncidentView; asset: AssetView; now: number; admin: Admin };

/** Shows the engine, the host, the explanation and the basic facts of an incident. */
export const IncidentHeader = ({ incident, asset, now, admin }: Header) => (
  <div id="incident-head" class="asset-head" data-live>
    <p class="crumbs">
      <a href="/incidents">Incidents</a>
    </p>
    <h1>
      <bdi>{incident.engineName}</bdi> on{" "}
      <a href={`/assets/${asset.assetId}`}>
        <bdi>{asset.hostname}</bdi>
      </a>
    </h1>
    <p class="lead">
      <bdi dir="ltr">{incident.explanation}</bdi>
    </p>
    <p class="badges">
      {incident.status === "OPEN" ? (
        <RiskBadge risk={incident.risk} />
      ) : (
        <Badge tone="quiet" icon="ok">
          Resolved
        </Badge>
      )}
      <ReportingBadge reporting={reportingOf(asset.presence, now)} />
      {asset.containment.state !== "active" && <ContainmentBadge state={asset.containment.state} />}
    </p>
    <IncidentFacts incident={incident} asset={asset} now={now} />
    {mayRespond(admin) && asset.status === "ACTIVE" && (
      <p>
        <a class="button" href={`/assets/${asset.assetId}#containment`}>
          Isolate this host…
        </a>
      </p>
    )}
  </div>
);

const IncidentFacts = ({ incident, asset, now }: Omit<Header, "admin">) => (
  <dl class="facts wide">
    <div>
      <dt>Rule</dt>
      <dd>
        <a href={`/incidents?${new URLSearchParams({ rule: incident.rule })}`}>
          <code>{incident.rule}</code>
        </a>
        , {String(incident.points)} points
      </dd>
    </div>
    {incident.status === "OPEN" ? (
      <div>
        <dt>Open for</dt>
        <dd>
          <Age since={incident.openedAt} now={now} />
        </dd>
      </div>
    ) : (
      <div>
        <dt>Opened</dt>
        <dd>
          <Ago at={incident.openedAt} now={now} />
        </dd>
      </div>
    )}
    <div>
      <dt>Last seen</dt>
      <dd>
        <Ago at={incident.lastSeenAt} now={now} />
      </dd>
    </div>
    {incident.resolvedAt && (
      <div>
        <dt>Resolved</dt>
        <dd>
          <Ago at={incident.resolvedAt} now={now} />
          {incident.resolution && (
            <>
              {": "}
              <bdi>{incident.resolution}</bdi>
            </>
          )}
        </dd>
      </div>
    )}
    <div>
      <dt>Employee</dt>
      <dd>
        <a href={`/employees/${encodeURIComponent(asset.employeeId)}`}>
          <bdi>{asset.employeeId}</bdi>
        </a>
      </dd>
    </div>
  </dl>
);
