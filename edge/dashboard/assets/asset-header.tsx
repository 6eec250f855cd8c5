import { reportingOf } from "../../../shared/fleet/reporting.ts";
import type { Collector } from "../../../shared/wire/heartbeat.ts";
import type { AssetView } from "../../control/assets/asset-view.ts";
import { ContainmentBadge, plural, ReportingBadge, RiskBadge } from "../components/badges.tsx";
import { Icon } from "../components/icon.tsx";
import { Ago, Until } from "../components/time.tsx";
import type { AssetDetails } from "./asset-data.ts";
import { ExpiredBadge } from "./lifecycle-notices.tsx";

/** Name, badges and basic facts of a host. */
export const AssetHeader = ({ asset, now }: { asset: AssetView; now: number }) => {
  const { presence } = asset;
  return (
    <div id="asset-head" class="asset-head" data-live>
      <p class="crumbs">
        <a href="/assets">Hosts</a>
      </p>
      <h1>
        <bdi>{asset.hostname}</bdi>
      </h1>
      <p class="badges">
        <ReportingBadge reporting={reportingOf(presence, now)} />
        <ExpiredBadge lifecycle={asset.lifecycle} />
        {presence && <RiskBadge risk={presence.risk} />}
        {asset.containment.state !== "active" && <ContainmentBadge state={asset.containment.state} />}
      </p>
      <dl class="facts wide">
        <div>
          <dt>Last seen</dt>
          <dd>{presence ? <Ago at={presence.lastSeenAt} now={now} /> : "never"}</dd>
        </div>
        <div>
          <dt>Employee</dt>
          <dd>
            <a href={`/employees/${encodeURIComponent(asset.employeeId)}`}>
              <bdi>{asset.employeeId}</bdi>
            </a>
          </dd>
        </div>
        <div>
          <dt>System</dt>
          <dd>
            <bdi>{asset.os}</bdi>, <bdi>{asset.arch}</bdi>
          </dd>
        </div>
        <div>
          <dt>Enrolled</dt>
          <dd>
            <Ago at={asset.enrolledAt} now={now} />
          </dd>
        </div>
        {presence && (
          <div>
            <dt>Agent</dt>
            <dd>
              <bdi>{presence.agentVersion}</bdi>, catalogue <bdi>{presence.catalogue}</bdi>
            </dd>
          </div>
        )}
        <div>
          <dt>Host id</dt>
          <dd>
            <code>{asset.assetId}</code>
          </dd>
        </div>
      </dl>
    </div>
  );
};

const isIncomplete = (collector: Collector): boolean =>
  collector.status === "failed" || collector.status === "partial";

/** Says why the page may be incomplete: the host is silent, sources could not be read, or heartbeats were lost. */
export const UnknownNotices = ({ details }: { details: AssetDetails }) => {
  const { asset, state, now } = details;
  const incomplete = state?.collectors.filter(isIncomplete) ?? [];
  const dropped = asset.presence?.spoolDropped ?? 0;
  const reporting = reportingOf(asset.presence, now);
  return (
    <div id="unknown" data-live class="stack">
      {reporting === "silent" && (
        <p class="strip warning">
          <Icon name="silent" />
          This host has stopped reporting. You see its last report, which may be out of date.
        </p>
      )}
      {reporting === "never" && (
        <p class="strip warning">
          <Icon name="absent" />
          The agent is enrolled but has never sent a heartbeat, so the state of this host is unknown. Check
          that the agent runs.
        </p>
      )}
      {incomplete.length > 0 && (
        <p class="strip warning">
          <Icon name="warning" />
          {`The agent could not fully read ${plural(incomplete.length, "source")} of ${state?.collectors.length ?? 0} (${incomplete.map(({ name }) => name).join(", ")}). AI that only ${incomplete.length === 1 ? "this source detects" : "these sources detect"} may be missing here.`}
        </p>
      )}
      {dropped > 0 && (
        <p class="strip warning">
          <Icon name="warning" />
          {`This host lost ${plural(dropped, "heartbeat")} while it could not reach the control plane.`}
        </p>
      )}
    </div>
  );
};

/** Says that an isolation of this host waits for a second person's approval. */
export const WaitingApproval = ({ details: { waiting, now } }: { details: AssetDetails }) => (
  <div id="waiting" data-live>
    {waiting && (
      <p class="strip warning">
        <Icon name="pending" />
        <span>
          <bdi>{waiting.requestedBy}</bdi> requested to isolate this host in mode {waiting.mode}. The host is
          not isolated until <a href="/approvals">a second person approves</a>. The request expires{" "}
          <Until at={waiting.validUntil} now={now} />.
        </span>
      </p>
    )}
  </div>
);
