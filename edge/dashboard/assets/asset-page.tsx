import type { TelemetryChange } from "../../../shared/table/items/asset/telemetry.ts";
import { may, mayRespond } from "../../auth/authenticate.ts";
import type { Admin } from "../../auth/permissions.ts";
import type { AssetView } from "../../control/assets/asset-view.ts";
import { sharingHosts } from "../../control/assets/refuse-copies.ts";
import { readSettings } from "../../control/tenant/update-tenant.ts";
import { hiddenFor, readOnlyReason } from "../components/change-form.tsx";
import { DownloadLinks } from "../components/download-links.tsx";
import { Empty, Layout } from "../components/layout.tsx";
import { type Notice, NoticeStrip } from "../components/notice.tsx";
import { Ago } from "../components/time.tsx";
import { CustodyLog } from "../custody/custody-table.tsx";
import type { DashboardDeps } from "../deps.ts";
import type { Draft } from "../routing/parse-form.ts";
import { type AssetDetails, CUSTODY_MAX, loadAsset } from "./asset-data.ts";
import { AssetHeader, UnknownNotices, WaitingApproval } from "./asset-header.tsx";
import { AssetIncidents } from "./asset-incidents.tsx";
import { AssetSources } from "./asset-sources.tsx";
import { AssetTimeline } from "./asset-timeline.tsx";
import { ContainmentPanel, nextChange, type PanelForms } from "./containment-panel.tsx";
import { type DecommissionDraft, DecommissionPanel, decommissionHidden } from "./decommission-panel.tsx";
import { Engines, Stores } from "./engines.tsx";
import { LifecycleNotices } from "./lifecycle-notices.tsx";

type Answer = {
  notice?: Notice | undefined;
  draft?: Draft | undefined;
  decommission?: DecommissionDraft | undefined;
  /** Cursor for an older page of the timeline. */
  older?: string | undefined;
};

/** The page of one host. Returns undefined if the tenant has no such host. */
export async function assetPage(admin: Admin, assetId: string, deps: DashboardDeps, answer: Answer = {}) {
  const { older } = answer;
  const details = await loadAsset(deps, admin.tenantId, assetId, older);
  if (!details) return undefined;
  const { asset, now, state, custody } = details;
  const forms = await formsOf(admin, asset, deps, answer.draft);
  const hidden = await decommissionHidden(admin, asset, custody.items[0]?.number ?? 0, deps);
  return (
    <Layout
      frame={{
        title: asset.hostname,
        admin,
        nav: "assets",
        nowMs: now,
        // The page has no live updates while the user corrects a rejected form.
        live: answer.draft === undefined && answer.decommission === undefined,
        pollPath: `/assets/${assetId}${older === undefined ? "" : `?${new URLSearchParams({ older })}`}`,
      }}
    >
      <AssetHeader asset={asset} now={now} />
      <NoticeStrip notice={answer.notice} />
      <LifecycleNotices asset={asset} now={now} />
      <UnknownNotices details={details} />
      <WaitingApproval details={details} />
      <div class="asset-grid">
        <div class="asset-now">
          <AssetIncidents details={details} />
          <RunningEngines details={details} />
          <StoredModels state={state} />
        </div>
        <div class="asset-side">
          <ContainmentPanel
            asset={asset}
            newest={custody.items.find((record) => record.generation === asset.generation)}
            forms={forms}
            readOnly={readOnlyReason(
              admin,
              mayRespond(admin),
              deps,
              "responders and administrators can isolate and release hosts",
            )}
            now={now}
          />
          <AssetSources state={state} />
          {hidden && <DecommissionPanel asset={asset} hidden={hidden} draft={answer.decommission} />}
        </div>
        <div class="asset-past">
          <AssetTimeline details={details} />
          <AssetCustody details={details} />
        </div>
      </div>
    </Layout>
  );
}

/**
 * Data for the form that changes the containment of the host. Undefined if the user or this node is not
 * allowed to change it.
 */
async function formsOf(
  admin: Admin,
  asset: AssetView,
  deps: DashboardDeps,
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

const RunningEngines = ({ details: { asset, state, now } }: { details: AssetDetails }) => (
  <section id="now" class="card" data-live aria-labelledby="now-title">
    <div class="card-head">
      <h2 id="now-title">AI on this host</h2>
      {asset.presence && (
        <span class="muted small">
          last change <Ago at={asset.presence.stateSince} now={now} />
        </span>
      )}
    </div>
    {state ? (
      <Engines engines={state.engines} now={now} />
    ) : (
      <Empty title="Unknown">No state of this host is stored.</Empty>
    )}
  </section>
);

/**
 * Lists models on disk of applications that are not running. Models of running engines are listed with their
 * engine instead.
 */
const StoredModels = ({ state }: { state: TelemetryChange | undefined }) => (
  <div id="at-rest" data-live>
    {state?.stores && (
      <section class="card" aria-labelledby="at-rest-title">
        <h2 id="at-rest-title">Models on disk of applications that are not running</h2>
        {state.stores.length > 0 ? (
          <Stores stores={state.stores} />
        ) : (
          <p class="muted">No models found in the folders of known applications that are not running.</p>
        )}
      </section>
    )}
  </div>
);

const AssetCustody = ({ details: { asset, custody, check, now } }: { details: AssetDetails }) => (
  <section id="custody" class="card" data-live aria-labelledby="custody-title">
    <div class="card-head">
      <h2 id="custody-title">Custody log</h2>
      {custody.items.length > 0 && <DownloadLinks list="custody" filter={{ asset: asset.assetId }} />}
    </div>
    {custody.items.length > 0 && (
      <p class="muted small">
        The CSV contains the records of this host. The JSON contains the complete log of the organisation,
        because verification needs all records.
      </p>
    )}
    <CustodyLog records={custody.items} check={check} now={now} />
    {custody.cursor !== undefined && (
      <p class="more">
        Showing the newest {String(CUSTODY_MAX)} records.{" "}
        <a href={`/custody?${new URLSearchParams({ asset: asset.assetId })}`}>
          All custody records of this host
        </a>
      </p>
    )}
  </section>
);
