import { reportingOf } from "../../../shared/fleet/reporting.ts";
import type { TelemetryChange } from "../../../shared/table/items/asset/telemetry.ts";
import type { Collector } from "../../../shared/wire/heartbeat.ts";
import { may, mayRespond } from "../../auth/authenticate.ts";
import type { Admin } from "../../auth/permissions.ts";
import { listTimeline, readState } from "../../control/assets/asset-timeline.ts";
import type { AssetView } from "../../control/assets/asset-view.ts";
import { readAsset } from "../../control/assets/read-assets.ts";
import { sharingHosts } from "../../control/assets/refuse-copies.ts";
import { type CustodyView, listCustody } from "../../control/custody/list-custody.ts";
import { type IncidentView, listAssetIncidents } from "../../control/incidents/list-incidents.ts";
import type { Page } from "../../control/table-query.ts";
import { readSettings } from "../../control/tenant/update-tenant.ts";
import type { Deps } from "../../deps.ts";
import { type ApprovalView, listWaiting } from "../approvals/pending-approvals.ts";
import { TrendChart } from "../charts/trend.tsx";
import { Badge, ContainmentBadge, plural, ReportingBadge, RiskBadge } from "../components/badges.tsx";
import { hiddenFor, whyNoForm } from "../components/change-form.tsx";
import { DownloadLinks } from "../components/download-links.tsx";
import { Icon, type IconName } from "../components/icon.tsx";
import { Empty, Layout } from "../components/layout.tsx";
import { type Notice, NoticeStrip } from "../components/notice.tsx";
import { Ago, Until } from "../components/time.tsx";
import { Timeline } from "../components/timeline.tsx";
import { type ChainCheck, CustodyLog, checkChain } from "../custody/custody-table.tsx";
import { IncidentList } from "../incidents/incident-table.tsx";
import type { Draft } from "../routing/parse-form.ts";
import { ContainmentPanel, nextChange, type PanelForms } from "./containment-panel.tsx";
import { Engines, Stores } from "./engines.tsx";
import { ExpiredBadge, LifecycleStrip } from "./expired.tsx";
import { type LeaveDraft, LeavePanel, leaveHidden } from "./leave-panel.tsx";
import { changesBetween } from "./state-diff.ts";

const TIMELINE_MAX = 30;
const CUSTODY_MAX = 50;
/** Of the open and of the resolved ones each. */
const INCIDENTS_SHOWN_MAX = 100;

type Told = {
  asset: AssetView;
  state: TelemetryChange | undefined;
  timeline: Page<TelemetryChange>;
  /** The timeline begins further back than now. */
  isOlder: boolean;
  custody: Page<CustodyView>;
  check: ChainCheck | undefined;
  incidents: Awaited<ReturnType<typeof listAssetIncidents>>;
  /** A request to isolate it that a second person has to approve. */
  waiting: ApprovalView | undefined;
  now: number;
};

async function loadAsset(
  deps: Deps,
  tenantId: string,
  assetId: string,
  older: string | undefined,
): Promise<Told | undefined> {
  const asset = await readAsset(deps, tenantId, assetId);
  if (!asset) return undefined;
  const { presence } = asset;
  const [state, timeline, custody, incidents, approvals] = await Promise.all([
    presence ? readState(deps, tenantId, assetId, presence.stateAt) : undefined,
    listTimeline(deps, tenantId, assetId, {
      limit: TIMELINE_MAX,
      ...(older !== undefined && { from: older }),
    }),
    listCustody(deps, tenantId, assetId, { limit: CUSTODY_MAX }),
    listAssetIncidents(deps, tenantId, assetId),
    listWaiting(deps, tenantId),
  ]);
  const now = deps.clock();
  return {
    asset,
    state,
    timeline,
    isOlder: older !== undefined,
    custody,
    check: await checkChain(custody.items),
    incidents,
    waiting: approvals.waiting.find((request) => request.assetId === assetId),
    now,
  };
}

/** Everything about one host; undefined when the tenant does not have it. */
export async function assetPage(
  admin: Admin,
  assetId: string,
  deps: Deps,
  answer: {
    notice?: Notice | undefined;
    draft?: Draft | undefined;
    leaving?: LeaveDraft | undefined;
    older?: string | undefined;
  } = {},
) {
  const { older } = answer;
  const told = await loadAsset(deps, admin.tenantId, assetId, older);
  if (!told) return undefined;
  const { asset, now } = told;
  const forms = await formsOf(admin, asset, deps, answer.draft);
  // While somebody mends a refused form nothing moves under their hands.
  const live = answer.draft === undefined && answer.leaving === undefined;
  const leave = await leaveHidden(admin, asset, told.custody.items[0]?.number ?? 0, deps);
  return (
    <Layout
      frame={{
        title: asset.hostname,
        admin,
        place: "assets",
        nowMs: now,
        live,
        pollPath: `/assets/${assetId}${older === undefined ? "" : `?${new URLSearchParams({ older })}`}`,
      }}
    >
      <AssetHead asset={asset} now={now} />
      <NoticeStrip notice={answer.notice} />
      <LifecycleStrip asset={asset} now={now} />
      <SilentSources told={told} />
      <Waiting told={told} />
      <div class="asset-grid">
        <div class="asset-now">
          <OpenIncidents told={told} />
          <Now told={told} />
          <AtRest state={told.state} />
        </div>
        <div class="asset-side">
          <ContainmentPanel
            asset={asset}
            newest={told.custody.items.find((record) => record.generation === asset.generation)}
            forms={forms}
            readOnly={whyNoForm(
              admin,
              mayRespond(admin),
              deps,
              "responders and administrators isolate and release",
            )}
            now={now}
          />
          <Sources state={told.state} />
          {leave && <LeavePanel asset={asset} hidden={leave} draft={answer.leaving} />}
        </div>
        <div class="asset-past">
          <Past told={told} />
          <section id="custody" class="card" data-live aria-labelledby="custody-title">
            <div class="card-head">
              <h2 id="custody-title">Custody log</h2>
              {told.custody.items.length > 0 && <DownloadLinks list="custody" filter={{ asset: assetId }} />}
            </div>
            {told.custody.items.length > 0 && (
              <p class="muted small">
                The CSV holds the records of this host, the JSON the organisation's whole log: only that
                verifies.
              </p>
            )}
            <CustodyLog records={told.custody.items} check={told.check} now={now} />
            {told.custody.cursor !== undefined && (
              <p class="more">
                The newest {String(CUSTODY_MAX)} are shown.{" "}
                <a href={`/custody?${new URLSearchParams({ asset: assetId })}`}>
                  All custody records of this host
                </a>
              </p>
            )}
          </section>
        </div>
      </div>
    </Layout>
  );
}

async function formsOf(
  admin: Admin,
  asset: AssetView,
  deps: Deps,
  draft: Draft | undefined,
): Promise<PanelForms | undefined> {
  if (!mayRespond(admin) || !deps.controlKey) return undefined;
  const action = nextChange(asset);
  const hidden = await hiddenFor(admin, [action, asset.assetId, asset.generation], deps);
  const sharing = sharingHosts(asset.presence, deps.clock());
  if (action === "release") return { hidden, draft, sharing };
  const { value: settings } = await readSettings(deps, admin.tenantId);
  const isGuarded = settings.fourEyes || settings.isolationsPerHourMax > 0;
  return { hidden, draft, settings, sharing, mayBreakGlass: isGuarded && may(admin, "manage-settings") };
}

const AssetHead = ({ asset, now }: { asset: AssetView; now: number }) => {
  const { presence } = asset;
  return (
    <div id="asset-head" class="asset-head" data-live>
      <p class="crumbs">
        <a href="/assets">Assets</a>
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
          <dt>Asset</dt>
          <dd>
            <code>{asset.assetId}</code>
          </dd>
        </div>
      </dl>
    </div>
  );
};

const isBroken = (collector: Collector): boolean =>
  collector.status === "failed" || collector.status === "partial";

/** Above everything else: what the page cannot know. */
const SilentSources = ({ told }: { told: Told }) => {
  const { asset, state, now } = told;
  const broken = state?.collectors.filter(isBroken) ?? [];
  const dropped = asset.presence?.spoolDropped ?? 0;
  const reporting = reportingOf(asset.presence, now);
  return (
    <div id="unknown" data-live class="stack">
      {reporting === "silent" && (
        <p class="strip warning">
          <Icon name="silent" />
          This host is silent. Everything below is what it said last, not what is so now.
        </p>
      )}
      {reporting === "never" && (
        <p class="strip warning">
          <Icon name="absent" />
          The agent has enrolled but has never sent a heartbeat. Nothing is known of this host.
        </p>
      )}
      {broken.length > 0 && (
        <p class="strip warning">
          <Icon name="warning" />
          {plural(broken.length, "source")} of {String(state?.collectors.length ?? 0)} could not be read in
          full ({broken.map(({ name }) => name).join(", ")}). What {broken.length === 1 ? "it" : "they"} would
          have shown is not known.
        </p>
      )}
      {dropped > 0 && (
        <p class="strip warning">
          <Icon name="warning" />
          {plural(dropped, "heartbeat")} of this host {dropped === 1 ? "was" : "were"} lost while it could not
          deliver.
        </p>
      )}
    </div>
  );
};

/** A wish that is none yet. */
const Waiting = ({ told: { waiting, now } }: { told: Told }) => (
  <div id="waiting" data-live>
    {waiting && (
      <p class="strip warning">
        <Icon name="pending" />
        <span>
          <bdi>{waiting.requestedBy}</bdi> asked to isolate this host, mode {waiting.mode}. Nothing is
          isolated until <a href="/approvals">a second person approves</a>; the request expires{" "}
          <Until at={waiting.validUntil} now={now} />.
        </span>
      </p>
    )}
  </div>
);

const OpenIncidents = ({ told: { asset, incidents: all, now } }: { told: Told }) => {
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
            Only {plural(all.incidents.length, "incident")} of this host were read. There may be more open
            ones: see{" "}
            <a href={`/incidents?${new URLSearchParams({ q: asset.assetId })}`}>those of its name</a>.
          </span>
        </p>
      )}
      {open.length > 0 ? (
        <Newest of={open} now={now} />
      ) : (
        all.complete && <Empty title="No open incident on this host" icon="ok" />
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
    <IncidentList incidents={of.slice(0, INCIDENTS_SHOWN_MAX)} now={now} onAsset />
    {of.length > INCIDENTS_SHOWN_MAX && (
      <p class="more">The {String(INCIDENTS_SHOWN_MAX)} newest of them are shown.</p>
    )}
  </>
);

const Now = ({ told }: { told: Told }) => {
  const { asset, state, now } = told;
  return (
    <section id="now" class="card" data-live aria-labelledby="now-title">
      <div class="card-head">
        <h2 id="now-title">What runs here</h2>
        {asset.presence && (
          <span class="muted small">
            state since <Ago at={asset.presence.stateSince} now={now} />
          </span>
        )}
      </div>
      {state ? (
        <Engines engines={state.engines} now={now} />
      ) : (
        <Empty title="Not known">No state of this host is stored.</Empty>
      )}
    </section>
  );
};

/** What is on disk beside the models of engines that run: those are in their cards. */
const AtRest = ({ state }: { state: TelemetryChange | undefined }) => (
  <div id="at-rest" data-live>
    {state?.stores && (
      <section class="card" aria-labelledby="at-rest-title">
        <h2 id="at-rest-title">On disk, of what does not run</h2>
        {state.stores.length > 0 ? (
          <Stores stores={state.stores} />
        ) : (
          <p class="muted">No model lies where programs that are known and do not run keep theirs.</p>
        )}
      </section>
    )}
  </div>
);

const SOURCE: Record<
  Collector["status"],
  { tone: "ok" | "warning" | "critical" | "quiet"; icon: IconName; label: string }
> = {
  ok: { tone: "ok", icon: "ok", label: "Read" },
  partial: { tone: "warning", icon: "warning", label: "Read in part" },
  failed: { tone: "critical", icon: "failed", label: "Failed" },
  unsupported: { tone: "quiet", icon: "absent", label: "Not on this system" },
};

const SOURCE_ORDER: readonly Collector["status"][] = ["failed", "partial", "unsupported", "ok"];

const Sources = ({ state }: { state: TelemetryChange | undefined }) => {
  const collectors = [...(state?.collectors ?? [])].sort(
    (a, b) => SOURCE_ORDER.indexOf(a.status) - SOURCE_ORDER.indexOf(b.status),
  );
  return (
    <section id="sources" class="card" data-live aria-labelledby="sources-title">
      <div class="card-head">
        <h2 id="sources-title">Sources</h2>
      </div>
      {collectors.length === 0 ? (
        <p class="muted">No source has been reported on.</p>
      ) : (
        <ul class="rows">
          {collectors.map((collector) => (
            <li data-key={collector.name}>
              <div>
                <bdi class="mono">{collector.name}</bdi>
                {collector.detail && (
                  <p class="muted small">
                    <bdi>{collector.detail}</bdi>
                  </p>
                )}
              </div>
              <Badge tone={SOURCE[collector.status].tone} icon={SOURCE[collector.status].icon}>
                {SOURCE[collector.status].label}
              </Badge>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
};

const Past = ({ told }: { told: Told }) => {
  const { timeline, now, isOlder } = told;
  const path = `/assets/${told.asset.assetId}`;
  return (
    <section id="timeline" class="card" data-live aria-labelledby="timeline-title">
      <div class="card-head">
        <h2 id="timeline-title">What happened on this host</h2>
        {timeline.items.length > 0 && (
          <DownloadLinks list="timeline" filter={{ asset: told.asset.assetId }} />
        )}
      </div>
      {timeline.items.length === 0 ? (
        <Empty title="No change recorded" />
      ) : (
        <>
          {told.asset.presence && (
            <TrendChart
              changes={timeline.items}
              until={isOlder ? timeline.items[0]!.at : told.asset.presence.lastSeenAt}
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
