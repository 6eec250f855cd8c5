import { RiskTrend } from "../charts/risk-trend.tsx";
import { DownloadLinks } from "../components/download-links.tsx";
import { Empty } from "../components/layout.tsx";
import { Timeline } from "../components/timeline.tsx";
import type { AssetDetails } from "./asset-data.ts";
import { changesBetween } from "./state-diff.ts";

/** Recorded changes of a host, one page at a time, with a chart of its risk score. */
export const AssetTimeline = ({ details }: { details: AssetDetails }) => {
  const { asset, timeline, now, isOlder } = details;
  const path = `/assets/${asset.assetId}`;
  return (
    <section id="timeline" class="card" data-live aria-labelledby="timeline-title">
      <div class="card-head">
        <h2 id="timeline-title">History of this host</h2>
        {timeline.items.length > 0 && <DownloadLinks list="timeline" filter={{ asset: asset.assetId }} />}
      </div>
      {timeline.items.length === 0 ? (
        <Empty title="No changes recorded yet" />
      ) : (
        <>
          {asset.presence && (
            <RiskTrend
              changes={timeline.items}
              until={isOlder ? timeline.items[0]!.at : asset.presence.lastSeenAt}
            />
          )}
          <Timeline
            moments={timeline.items.map((item, index) => ({
              at: item.at,
              changes: changesBetween(item, timeline.items[index + 1]),
              end: `score ${item.score}`,
            }))}
            now={now}
          />
        </>
      )}
      {(isOlder || timeline.cursor !== undefined) && (
        <p class="pager">
          {isOlder && <a href={`${path}#timeline`}>Newest states</a>}
          {timeline.cursor !== undefined && (
            <a rel="next" href={`${path}?${new URLSearchParams({ older: timeline.cursor })}#timeline`}>
              Older states
            </a>
          )}
        </p>
      )}
    </section>
  );
};
