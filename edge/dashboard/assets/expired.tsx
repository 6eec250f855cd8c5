import type { ExpiryReason } from "../../../shared/fleet/expiry.ts";
import type { AssetView } from "../../control/assets/asset-view.ts";
import { Badge, plural } from "../components/badges.tsx";
import { Icon } from "../components/icon.tsx";
import { Ago } from "../components/time.tsx";
import type { FleetFilter } from "../overview/fleet-cache.ts";

const LABELS: Readonly<Record<ExpiryReason, string>> = {
  silent: "Expired",
  "never-reported": "Expired",
  removed: "Taken off the list",
  superseded: "Superseded",
};

export const ExpiredBadge = ({ lifecycle: { reason } }: Pick<AssetView, "lifecycle">) =>
  reason ? (
    <Badge tone="quiet" icon="absent">
      {LABELS[reason]}
    </Badge>
  ) : null;

/** How many hosts a list leaves out because they are not on the active list, with a link to them. */
export const ExpiredLeftOut = ({ count, filter = {} }: { count: number; filter?: FleetFilter }) => {
  if (count === 0) return null;
  const set = Object.entries({ ...filter, state: "expired" }).filter(([, value]) => value !== undefined);
  return (
    <p class="muted">
      <a href={`/assets?${new URLSearchParams(set as [string, string][])}`}>
        {plural(count, "expired host")}
      </a>{" "}
      {count === 1 ? "is" : "are"} left out, here and in the files: not heard of for too long, taken off the
      list, or superseded.
    </p>
  );
};

const REASONS: Readonly<Record<ExpiryReason, string>> = {
  silent: "has not reported for longer than the settings allow",
  "never-reported": "enrolled longer ago than the settings allow and has never reported",
  removed: "was taken off the active list by an administrator",
  superseded: "was merged into another asset and is revoked",
};

const AssetLinks = ({ ids }: { ids: readonly string[] }) => (
  <>
    {ids.map((id, index) => (
      <>
        {index > 0 && ", "}
        <a href={`/assets/${id}`}>{id}</a>
      </>
    ))}
  </>
);

/** On the page of one host: why it is not on the active list, what took its place, what it took the place of. */
export const LifecycleStrip = ({ asset, now }: { asset: AssetView; now: number }) => {
  const { lifecycle, supersededBy, supersedes = [], enrolledAgainAs } = asset;
  const earlier = (asset.enrolledBefore ?? []).filter((id) => !supersedes.includes(id));
  const { reason, since } = lifecycle;
  return (
    <div id="lifecycle" data-live class="stack">
      {reason && since && (
        <p class="strip">
          <Icon name="absent" />
          <span>
            This host {REASONS[reason]}. It left the active list <Ago at={since} now={now} />.{" "}
            {supersededBy !== undefined ? (
              <>
                Its place took <a href={`/assets/${supersededBy}`}>{supersededBy}</a>.
              </>
            ) : (
              asset.revokedAt === undefined && "It returns by itself with its next heartbeat."
            )}
          </span>
        </p>
      )}
      {enrolledAgainAs !== undefined && supersededBy === undefined && (
        <p class="strip">
          <Icon name="info" />
          <span>
            This machine seems to report as <a href={`/assets/${enrolledAgainAs}`}>{enrolledAgainAs}</a> since
            it enrolled again. Check that it is the same machine, then merge this asset into that one.
          </span>
        </p>
      )}
      {earlier.length > 0 && (
        <p class="strip">
          <Icon name="info" />
          <span>
            The machine says that it was enrolled before, as <AssetLinks ids={earlier} />. Check that it is
            the same one, then merge.
          </span>
        </p>
      )}
      {supersedes.length > 0 && (
        <p class="strip">
          <Icon name="info" />
          <span>
            This host took the place of <AssetLinks ids={supersedes} />. Their history stays with them.
          </span>
        </p>
      )}
    </div>
  );
};
