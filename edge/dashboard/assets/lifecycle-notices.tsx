import type { Child } from "hono/jsx";
import type { ExpiryReason } from "../../../shared/fleet/expiry.ts";
import type { AssetView } from "../../control/assets/asset-view.ts";
import { Badge, plural } from "../components/badges.tsx";
import { Icon, type IconName } from "../components/icon.tsx";
import { Ago } from "../components/time.tsx";
import type { FleetFilter } from "../overview/fleet-cache.ts";

const LABELS: Readonly<Record<ExpiryReason, string>> = {
  silent: "Expired",
  "never-reported": "Expired",
  removed: "Removed from the list",
  superseded: "Merged",
};

export const ExpiredBadge = ({ lifecycle: { reason } }: Pick<AssetView, "lifecycle">) =>
  reason ? (
    <Badge tone="quiet" icon="absent">
      {LABELS[reason]}
    </Badge>
  ) : null;

/** Says how many expired hosts a list leaves out, and links to these hosts. */
export const ExpiredHostsLink = ({ count, filter = {} }: { count: number; filter?: FleetFilter }) => {
  if (count === 0) return null;
  const set = Object.entries({ ...filter, state: "expired" }).filter(([, value]) => value !== undefined);
  return (
    <p class="muted">
      Lists and downloads leave out{" "}
      <a href={`/assets?${new URLSearchParams(set as [string, string][])}`}>
        {plural(count, "expired host")}
      </a>
      . A host expires if it is silent for too long, is removed from the list, or is merged into another host.
    </p>
  );
};

const REASONS: Readonly<Record<ExpiryReason, string>> = {
  silent: "has not reported for longer than the settings allow",
  "never-reported": "enrolled but did not report within the time that the settings allow",
  removed: "was removed from the active list by an administrator",
  superseded: "was merged into another host, and its device key is revoked",
};

const HostLinks = ({ ids }: { ids: readonly string[] }) => (
  <>
    {ids.map((id, index) => (
      <>
        {index > 0 && ", "}
        <a href={`/assets/${id}`}>{id}</a>
      </>
    ))}
  </>
);

const Strip = ({ icon, children }: { icon: IconName; children: Child }) => (
  <p class="strip">
    <Icon name={icon} />
    <span>{children}</span>
  </p>
);

/**
 * Notices on the page of a host. They say why the host is not on the active list. They also name other hosts
 * that were, or may be, the same machine.
 */
export const LifecycleNotices = ({ asset, now }: { asset: AssetView; now: number }) => {
  const { lifecycle, supersededBy, supersedes = [], enrolledAgainAs } = asset;
  const earlier = (asset.enrolledBefore ?? []).filter((id) => !supersedes.includes(id));
  const { reason, since } = lifecycle;
  return (
    <div id="lifecycle" data-live class="stack">
      {reason && since && (
        <Strip icon="absent">
          This host {REASONS[reason]}. It left the active list <Ago at={since} now={now} />.{" "}
          {supersededBy !== undefined ? (
            <>
              It was replaced by <a href={`/assets/${supersededBy}`}>{supersededBy}</a>.
            </>
          ) : (
            asset.revokedAt === undefined && "It returns to the list with its next heartbeat."
          )}
        </Strip>
      )}
      {enrolledAgainAs !== undefined && supersededBy === undefined && (
        <Strip icon="info">
          This machine seems to have enrolled again as{" "}
          <a href={`/assets/${enrolledAgainAs}`}>{enrolledAgainAs}</a>. Check that it is the same machine,
          then merge this host into that one.
        </Strip>
      )}
      {earlier.length > 0 && (
        <Strip icon="info">
          This machine reports that it was enrolled before, as <HostLinks ids={earlier} />. Check that it is
          the same machine, then merge the earlier host into this one.
        </Strip>
      )}
      {supersedes.length > 0 && (
        <Strip icon="info">
          This host replaces <HostLinks ids={supersedes} />. The history of these hosts stays on their pages.
        </Strip>
      )}
    </div>
  );
};
