import type { TelemetryChange } from "../../../shared/table/items/asset/telemetry.ts";
import type { Engine, Store } from "../../../shared/wire/heartbeat.ts";
import { may } from "../../auth/authenticate.ts";
import type { Admin } from "../../auth/permissions.ts";
import { listTimeline, readState } from "../../control/assets/asset-timeline.ts";
import type { AssetView } from "../../control/assets/asset-view.ts";
import { readAsset } from "../../control/assets/read-assets.ts";
import { listCustody } from "../../control/custody/list-custody.ts";
import { incidentName } from "../../control/incidents/incident-name.ts";
import { type IncidentView, incidentView } from "../../control/incidents/list-incidents.ts";
import { readIncidentItem } from "../../control/incidents/search-incidents.ts";
import { JUSTIFICATION_CHARACTERS_MIN } from "../../control/justification.ts";
import { Engines, Stores } from "../assets/engines.tsx";
import { plural } from "../components/badges.tsx";
import { ChangeForm, type Hidden, hiddenFor } from "../components/change-form.tsx";
import { Icon } from "../components/icon.tsx";
import { Empty, Layout } from "../components/layout.tsx";
import { type Notice, NoticeStrip } from "../components/notice.tsx";
import { Ago } from "../components/time.tsx";
import { type Moment, Timeline } from "../components/timeline.tsx";
import type { DashboardDeps } from "../deps.ts";
import { type Draft, RESOLUTION_CHARACTERS_MAX } from "../routing/parse-form.ts";
import { Explanation } from "./incident-explanation.tsx";
import { IncidentHeader } from "./incident-header.tsx";
import { findOpen, RISKS_SHOWN } from "./incident-search.ts";
import { IncidentList, isAcknowledged } from "./incident-table.tsx";
import { incidentTimeline } from "./incident-timeline.ts";

const STATES_MAX = 50;
const CUSTODY_MAX = 50;
const ELSEWHERE_SHOWN_MAX = 50;

type IncidentDetails = {
  incident: IncidentView;
  asset: AssetView;
  /** Entries for the engine in the newest state of the host. There is one entry for each process of the engine. */
  engines: Engine[];
  stores: Store[];
  state: TelemetryChange | undefined;
  elsewhere: Elsewhere;
  timeline: Moment[];
  /** True if the host has states that are older than those in the timeline. */
  hasOlderStates: boolean;
  now: number;
};

async function loadIncident(
  deps: DashboardDeps,
  tenantId: string,
  id: string,
): Promise<IncidentDetails | undefined> {
  if (!incidentName.safeParse(id).success) return undefined;
  const found = await readIncidentItem(deps, tenantId, id);
  if (!found) return undefined;
  const incident = incidentView(found.item);
  const { assetId: owner } = incident;
  const asset = await readAsset(deps, tenantId, owner);
  if (!asset) return undefined;
  const [state, elsewhere, states, custody] = await Promise.all([
    asset.presence ? readState(deps, tenantId, owner, asset.presence.stateAt) : undefined,
    findElsewhere(deps, tenantId, incident),
    listTimeline(deps, tenantId, owner, { limit: STATES_MAX }),
    listCustody(deps, tenantId, owner, { limit: CUSTODY_MAX }),
  ]);
  const engines = state?.engines.filter((engine) => engine.id === incident.engine) ?? [];
  return {
    incident,
    asset,
    engines,
    stores: state?.stores?.filter((store) => store.id === incident.engine) ?? [],
    state,
    elsewhere,
    timeline: incidentTimeline(incident, states.items, custody.items),
    hasOlderStates: states.cursor !== undefined,
    now: deps.clock(),
  };
}

/** `searched`: number of open incidents that were searched. `complete`: true if this is every open incident. */
type Elsewhere = { incidents: IncidentView[]; searched: number; complete: boolean };

/**
 * Finds other open incidents of the same rule. Searches critical incidents and warnings, because the points
 * for a rule differ between hosts.
 */
async function findElsewhere(
  deps: DashboardDeps,
  tenantId: string,
  { rule, id }: IncidentView,
): Promise<Elsewhere> {
  const found = await Promise.all(RISKS_SHOWN.map((risk) => findOpen(deps, tenantId, risk, { rule })));
  return {
    incidents: found.flatMap(({ incidents }) => incidents).filter((one) => one.id !== id),
    searched: found.reduce((sum, { searched }) => sum + searched, 0),
    complete: found.every(({ cursor }) => cursor === undefined),
  };
}

/**
 * The page of one incident with its explanation, evidence, timeline, and other incidents of the same rule.
 * Returns undefined if the tenant has no such incident.
 */
export async function incidentPage(
  admin: Admin,
  id: string,
  deps: DashboardDeps,
  answer: { notice?: Notice | undefined; draft?: Draft | undefined } = {},
) {
  const details = await loadIncident(deps, admin.tenantId, id);
  if (!details) return undefined;
  const { incident, asset, state, now } = details;
  const forms = await formsOf(admin, incident, deps, answer.draft);
  const title = `${incident.engineName} on ${asset.hostname}`;
  return (
    <Layout
      frame={{
        title,
        admin,
        nav: "incidents",
        nowMs: now,
        live: answer.draft === undefined,
        pollPath: `/incidents/${id}`,
      }}
    >
      <IncidentHeader incident={incident} asset={asset} now={now} admin={admin} />
      <NoticeStrip notice={answer.notice} />
      <Explanation incident={incident} state={incident.status === "OPEN" ? state : undefined} now={now} />
      <div id="incident-answer" class="stack" data-live>
        {forms && <ResponseForms incident={incident} forms={forms} />}
      </div>
      <CurrentEvidence details={details} />
      <IncidentTimeline details={details} />
      <SameRule details={details} />
    </Layout>
  );
}

const CurrentEvidence = ({ details }: { details: IncidentDetails }) => {
  const { asset, engines, stores, now } = details;
  return (
    <section id="incident-evidence" class="card" data-live aria-labelledby="incident-evidence-title">
      <div class="card-head">
        <h2 id="incident-evidence-title">Current evidence</h2>
        {asset.presence && (
          <span class="muted small">
            seen <Ago at={asset.presence.lastSeenAt} now={now} />
          </span>
        )}
      </div>
      {engines.length > 0 ? (
        <Engines engines={engines} now={now} />
      ) : stores.length > 0 ? (
        <Stores stores={stores} />
      ) : (
        <Empty title="The newest state of this host no longer shows this condition">
          The incident closes automatically when its condition has been gone for the quiet period.
        </Empty>
      )}
    </section>
  );
};

const SameRule = ({ details: { incident, elsewhere, now } }: { details: IncidentDetails }) => {
  const { incidents, searched, complete } = elsewhere;
  const all = `/incidents?${new URLSearchParams({ rule: incident.rule })}`;
  return (
    <section id="incident-elsewhere" class="card" data-live aria-labelledby="incident-elsewhere-title">
      <h2 id="incident-elsewhere-title">Same rule on other hosts</h2>
      {incidents.length > 0 && (
        <>
          <p class="count">
            <a href={all}>{plural(incidents.length, "open incident")}</a>
            {!complete && ` among ${searched.toLocaleString("en")} that were searched. There may be more.`}
          </p>
          <IncidentList incidents={incidents.slice(0, ELSEWHERE_SHOWN_MAX)} now={now} />
          {incidents.length > ELSEWHERE_SHOWN_MAX && (
            <p class="more">
              Showing the first {String(ELSEWHERE_SHOWN_MAX)}. <a href={all}>All incidents of this rule</a>
            </p>
          )}
        </>
      )}
      {incidents.length === 0 && complete && <Empty title="This rule has no other open incidents" />}
      {incidents.length === 0 && !complete && (
        <Empty title={`No match among ${plural(searched, "open incident")}`}>
          Older incidents were not searched. <a href={all}>Search all incidents of this rule</a>
        </Empty>
      )}
    </section>
  );
};

const IncidentTimeline = ({
  details: { asset, timeline, hasOlderStates, now },
}: {
  details: IncidentDetails;
}) => (
  <section id="incident-past" class="card" data-live aria-labelledby="incident-past-title">
    <h2 id="incident-past-title">Timeline</h2>
    {timeline.length > 0 ? (
      <Timeline moments={timeline} now={now} />
    ) : (
      <Empty title="No recorded states for this incident">
        {`States are deleted after the retention time in the settings, and this page reads only the newest ${STATES_MAX} states.`}
      </Empty>
    )}
    {hasOlderStates && (
      <p class="muted small">
        {`This timeline covers the newest ${STATES_MAX} states. For older states, download the `}
        <a href={`/assets/${asset.assetId}#timeline`}>history of the host</a>.
      </p>
    )}
  </section>
);

type ResponseHidden = { acknowledge: Hidden; resolve: Hidden; draft: Draft | undefined };

/**
 * Hidden fields of the forms. Undefined if the incident is resolved or the user is not allowed to handle
 * incidents.
 */
async function formsOf(
  admin: Admin,
  incident: IncidentView,
  deps: DashboardDeps,
  draft: Draft | undefined,
): Promise<ResponseHidden | undefined> {
  if (incident.status !== "OPEN" || !may(admin, "handle-incidents") || !deps.controlKey) return undefined;
  const hidden = (action: string) => hiddenFor(admin, [action, incident.id, incident.openedAt], deps);
  const [acknowledge, resolve] = await Promise.all([hidden("acknowledge"), hidden("resolve")]);
  return { acknowledge, resolve, draft };
}

const ResponseForms = ({ incident, forms }: { incident: IncidentView; forms: ResponseHidden }) => (
  <section class="card" aria-labelledby="answer-title">
    <h2 id="answer-title">Respond</h2>
    <div class="columns">
      {isAcknowledged(incident) ? (
        <p>
          Acknowledged by <bdi>{incident.acknowledgedBy}</bdi>. The incident stays open until its condition is
          gone or a user resolves it.
        </p>
      ) : (
        <ChangeForm
          action={`/incidents/${incident.id}/acknowledge`}
          name="acknowledge"
          hidden={forms.acknowledge}
        >
          <p>Acknowledge the incident to show that you are working on it. It stays open.</p>
          <button type="submit">Acknowledge</button>
        </ChangeForm>
      )}
      <ChangeForm action={`/incidents/${incident.id}/resolve`} name="resolve" hidden={forms.resolve}>
        {forms.draft && (
          <p class="strip critical" role="alert">
            <Icon name="critical" />
            {`Nothing was changed. Enter a reason of ${JUSTIFICATION_CHARACTERS_MIN} to ${RESOLUTION_CHARACTERS_MAX} characters.`}
          </p>
        )}
        <div class="field">
          <label for="justification">Reason to resolve</label>
          <input
            id="justification"
            name="justification"
            type="text"
            required
            minlength={JUSTIFICATION_CHARACTERS_MIN}
            maxlength={RESOLUTION_CHARACTERS_MAX}
            value={forms.draft?.justification ?? ""}
          />
        </div>
        <button type="submit">Resolve</button>
      </ChangeForm>
    </div>
  </section>
);
