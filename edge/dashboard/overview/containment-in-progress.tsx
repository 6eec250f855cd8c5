import type { AssetView } from "../../control/assets/asset-view.ts";
import { ContainmentBadge } from "../components/badges.tsx";
import { Empty } from "../components/layout.tsx";
import { Age, Ago } from "../components/time.tsx";
import { CONTAINED_READ_MAX, type Contained } from "./overview-data.ts";

/** Hosts that are isolated, being isolated or being released. */
export const ContainmentInProgress = ({
  contained: { assets, complete },
  now,
}: {
  contained: Contained;
  now: number;
}) => (
  <section id="contained" class="card" data-live aria-labelledby="contained-title">
    <div class="card-head">
      <h2 id="contained-title">Containment in progress</h2>
    </div>
    {assets.length === 0 && complete ? (
      <Empty title="No host is in containment">To isolate a host, open its page.</Empty>
    ) : (
      <ul class="rows">
        {assets.map((asset) => (
          <ContainedHost asset={asset} now={now} />
        ))}
      </ul>
    )}
    {!complete && (
      <p class="more">
        {`Showing only hosts among the ${CONTAINED_READ_MAX} newest containment changes. `}
        <a href="/assets?state=isolated">All hosts with a requested isolation</a>
      </p>
    )}
  </section>
);

const ContainedHost = ({ asset, now }: { asset: AssetView; now: number }) => {
  const { containment, presence } = asset;
  return (
    <li data-key={asset.assetId}>
      <div>
        <a href={`/assets/${asset.assetId}`}>
          <bdi>{asset.hostname}</bdi>
        </a>
        <p class="muted small">
          <bdi>{asset.employeeId}</bdi> · mode {containment.mode ?? "observe"}
        </p>
      </div>
      <div class="end">
        <ContainmentBadge state={containment.state} />
        <p class="muted small">
          {containment.requestedAt && (
            <>
              requested <Ago at={containment.requestedAt} now={now} />
            </>
          )}
          {containment.offline && presence && (
            <>
              {" "}
              · silent for <Age since={presence.lastSeenAt} now={now} />
            </>
          )}
          {containment.offline && !presence && " · never seen"}
        </p>
      </div>
    </li>
  );
};
