import type { IncidentView } from "../../control/incidents/list-incidents.ts";
import { plural } from "../components/badges.tsx";
import { Icon } from "../components/icon.tsx";
import { Empty } from "../components/layout.tsx";
import { IncidentList } from "../incidents/incident-table.tsx";
import type { AssetDetails } from "./asset-data.ts";

/** Maximum number of open incidents shown on the page, and maximum number of resolved incidents. */
const SHOWN_MAX = 100;

/** Open incidents of a host. Resolved incidents are in a collapsed list. */
export const AssetIncidents = ({ details: { asset, incidents: all, now } }: { details: AssetDetails }) => {
  const open = all.incidents.filter((incident) => incident.status === "OPEN");
  const resolved = all.incidents.filter((incident) => incident.status === "RESOLVED");
  return (
    <section id="asset-incidents" class="card" data-live aria-labelledby="asset-incidents-title">
      <div class="card-head">
        <h2 id="asset-incidents-title">Open incidents</h2>
        <span class="muted">
          {open.length.toLocaleString("en")}
          {!all.complete && "+"}
        </span>
      </div>
      {!all.complete && (
        <p class="strip warning">
          <Icon name="warning" />
          <span>
            {`Only ${plural(all.incidents.length, "incident")} of this host were read, so there may be more open ones. `}
            <a href={`/incidents?${new URLSearchParams({ q: asset.assetId })}`}>
              Search all incidents of this host
            </a>
          </span>
        </p>
      )}
      {open.length > 0 ? (
        <Newest of={open} now={now} />
      ) : (
        all.complete && <Empty title="No open incidents on this host" icon="ok" />
      )}
      {resolved.length > 0 && (
        <details>
          <summary>{plural(resolved.length, "resolved incident")}</summary>
          <Newest of={resolved} now={now} />
        </details>
      )}
    </section>
  );
};

const Newest = ({ of, now }: { of: readonly IncidentView[]; now: number }) => (
  <>
    <IncidentList incidents={of.slice(0, SHOWN_MAX)} now={now} onAsset />
    {of.length > SHOWN_MAX && <p class="more">Showing the newest {String(SHOWN_MAX)}.</p>}
  </>
);
