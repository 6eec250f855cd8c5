import { reportingOf } from "../../../shared/fleet/reporting.ts";
import type { TelemetryChange } from "../../../shared/table/items/asset/telemetry.ts";
import type { Engine, Store } from "../../../shared/wire/heartbeat.ts";
import { may, mayRespond } from "../../auth/authenticate.ts";
import type { Admin } from "../../auth/permissions.ts";
import { listTimeline, readState } from "../../control/assets/asset-timeline.ts";
import type { AssetView } from "../../control/assets/asset-view.ts";
import { readAsset } from "../../control/assets/read-assets.ts";
import { listCustody } from "../../control/custody/list-custody.ts";
import { incidentName } from "../../control/incidents/incident-name.ts";
import { type IncidentView, incidentView } from "../../control/incidents/list-incidents.ts";
import { readIncidentItem } from "../../control/incidents/search-incidents.ts";
import type { Deps } from "../../deps.ts";
import { Engines, Stores } from "../assets/engines.tsx";
import { Badge, ContainmentBadge, plural, ReportingBadge, RiskBadge } from "../components/badges.tsx";
import { ChangeForm, type Hidden, hiddenFor } from "../components/change-form.tsx";
import { Icon } from "../components/icon.tsx";
import { Empty, Layout } from "../components/layout.tsx";
import { type Notice, NoticeStrip } from "../components/notice.tsx";
import { Age, Ago } from "../components/time.tsx";
import { type Moment, Timeline } from "../components/timeline.tsx";
import {
  type Draft,
  JUSTIFICATION_CHARACTERS_MIN,
  RESOLUTION_CHARACTERS_MAX,
} from "../routing/parse-form.ts";
import { Explanation } from "./explanation.tsx";
import { pastOf } from "./incident-history.ts";
import { findOpen, RISKS_SHOWN } from "./incident-search.ts";
import { IncidentList, isAcknowledged } from "./incident-table.tsx";

const STATES_MAX = 50;
const CUSTODY_MAX = 50;
const ELSEWHERE_SHOWN_MAX = 50;

type Told = {
  incident: IncidentView;
  asset: AssetView;
  /** The engine as the newest state has it: several processes of it, or none any more. */
  engines: Engine[];
  stores: Store[];
  state: TelemetryChange | undefined;
  elsewhere: Elsewhere;
  past: Moment[];
  /** There are states of the host from before those that the past was told from. */
  isPastLonger: boolean;
  now: number;
};

async function loadIncident(deps: Deps, tenantId: string, id: string): Promise<Told | undefined> {
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
    past: pastOf(incident, states.items, custody.items),
    isPastLonger: states.cursor !== undefined,
    now: deps.clock(),
  };
}

/** `searched`: how many open incidents were looked through; `complete`: those were all. */
type Elsewhere = { incidents: IncidentView[]; searched: number; complete: boolean };

/** Open incidents of the same rule, of either risk: a rule's points, and so its risk, differ from host to host. */
async function findElsewhere(deps: Deps, tenantId: string, { rule, id }: IncidentView): Promise<Elsewhere> {
  const found = await Promise.all(RISKS_SHOWN.map((risk) => findOpen(deps, tenantId, risk, { rule })));
  return {
    incidents: found.flatMap(({ incidents }) => incidents).filter((one) => one.id !== id),
    searched: found.reduce((sum, { searched }) => sum + searched, 0),
    complete: found.every(({ cursor }) => cursor === undefined),
  };
}

/** One incident: what broke which rule, on what evidence, and where else. Undefined when the tenant has none such. */
export async function incidentPage(
  admin: Admin,
  id: string,
  deps: Deps,
  answer: { notice?: Notice | undefined; draft?: Draft | undefined } = {},
) {
  const told = await loadIncident(deps, admin.tenantId, id);
  if (!told) return undefined;
  const forms = await formsOf(admin, told.incident, deps, answer.draft);
  const { incident, asset, engines, stores, state, now } = told;
  const title = `${incident.engineName} on ${asset.hostname}`;
  return (
    <Layout
      frame={{
        title,
        admin,
        place: "incidents",
        nowMs: now,
        live: answer.draft === undefined,
        pollPath: `/incidents/${id}`,
      }}
    >
      <IncidentHead told={told} admin={admin} />
      <NoticeStrip notice={answer.notice} />
      <Explanation incident={incident} state={incident.status === "OPEN" ? state : undefined} now={now} />
      <div id="incident-answer" class="stack" data-live>
        {forms && <AnswerForms incident={incident} forms={forms} />}
      </div>
      <section id="incident-evidence" class="card" data-live aria-labelledby="incident-evidence-title">
        <div class="card-head">
          <h2 id="incident-evidence-title">What the evidence is now</h2>
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
          <Empty title="Not in the newest state of this host">
            The incident closes by itself once its condition has been gone for the quiet period.
          </Empty>
        )}
      </section>
      <Past told={told} />
      <SameRule told={told} />
    </Layout>
  );
}

const SameRule = ({ told: { incident, elsewhere, now } }: { told: Told }) => {
  const { incidents, searched, complete } = elsewhere;
  const all = `/incidents?${new URLSearchParams({ rule: incident.rule })}`;
  return (
    <section id="incident-elsewhere" class="card" data-live aria-labelledby="incident-elsewhere-title">
      <h2 id="incident-elsewhere-title">The same rule elsewhere</h2>
      {incidents.length > 0 && (
        <>
          <p class="count">
            <a href={all}>{plural(incidents.length, "open incident")}</a>
            {!complete && ` among ${searched.toLocaleString("en")} that were searched, there may be more`}
          </p>
          <IncidentList incidents={incidents.slice(0, ELSEWHERE_SHOWN_MAX)} now={now} />
          {incidents.length > ELSEWHERE_SHOWN_MAX && (
            <p class="more">
              The first {String(ELSEWHERE_SHOWN_MAX)} are shown. <a href={all}>All of this rule</a>
            </p>
          )}
        </>
      )}
      {incidents.length === 0 && complete && (
        <Empty title="Nowhere else">No other open incident is of this rule.</Empty>
      )}
      {incidents.length === 0 && !complete && (
        <Empty title={`None among ${plural(searched, "open incident")}`}>
          There are older ones that were not searched. <a href={all}>Search on</a>
        </Empty>
      )}
    </section>
  );
};

const Past = ({ told: { asset, past, isPastLonger, now } }: { told: Told }) => (
  <section id="incident-past" class="card" data-live aria-labelledby="incident-past-title">
    <h2 id="incident-past-title">What happened</h2>
    {past.length > 0 ? (
      <Timeline moments={past} now={now} />
    ) : (
      <Empty title="Nothing of it is recorded any more">
        States are kept for as long as the settings say, and the newest {String(STATES_MAX)} are looked at
        here.
      </Empty>
    )}
    {isPastLonger && (
      <p class="muted small">
        Told from the newest {String(STATES_MAX)} states. Older ones are in the download of{" "}
        <a href={`/assets/${asset.assetId}#timeline`}>the host's past</a>.
      </p>
    )}
  </section>
);

type AnswerFormsOf = { acknowledge: Hidden; resolve: Hidden; draft: Draft | undefined };

/** Nothing to answer once it is resolved, nor for those who may not. Each opening has keys of its own. */
async function formsOf(
  admin: Admin,
  incident: IncidentView,
  deps: Deps,
  draft: Draft | undefined,
): Promise<AnswerFormsOf | undefined> {
  if (incident.status !== "OPEN" || !may(admin, "handle-incidents") || !deps.controlKey) return undefined;
  const hidden = (action: string) => hiddenFor(admin, [action, incident.id, incident.openedAt], deps);
  const [acknowledge, resolve] = await Promise.all([hidden("acknowledge"), hidden("resolve")]);
  return { acknowledge, resolve, draft };
}

const AnswerForms = ({ incident, forms }: { incident: IncidentView; forms: AnswerFormsOf }) => (
  <section class="card" aria-labelledby="answer-title">
    <h2 id="answer-title">Answer it</h2>
    <div class="columns">
      {isAcknowledged(incident) ? (
        <p>
          Acknowledged by <bdi>{incident.acknowledgedBy}</bdi>. It stays open until its condition is gone or
          somebody resolves it.
        </p>
      ) : (
        <ChangeForm
          action={`/incidents/${incident.id}/acknowledge`}
          name="acknowledge"
          hidden={forms.acknowledge}
        >
          <p>Acknowledge: you have seen it and look after it. It stays open.</p>
          <button type="submit">Acknowledge</button>
        </ChangeForm>
      )}
      <ChangeForm action={`/incidents/${incident.id}/resolve`} name="resolve" hidden={forms.resolve}>
        {forms.draft && (
          <p class="strip critical" role="alert">
            <Icon name="critical" />
            Nothing was changed: give a reason of {String(JUSTIFICATION_CHARACTERS_MIN)} to{" "}
            {String(RESOLUTION_CHARACTERS_MAX)} characters.
          </p>
        )}
        <div class="field">
          <label for="justification">Reason to resolve it</label>
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

const IncidentHead = ({ told, admin }: { told: Told; admin: Admin }) => {
  const { incident, asset, now } = told;
  const open = incident.status === "OPEN";
  return (
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
        {open ? (
          <RiskBadge risk={incident.risk} />
        ) : (
          <Badge tone="quiet" icon="ok">
            Resolved
          </Badge>
        )}
        <ReportingBadge reporting={reportingOf(asset.presence, now)} />
        {asset.containment.state !== "active" && <ContainmentBadge state={asset.containment.state} />}
      </p>
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
        <div>
          <dt>{open ? "Open for" : "Was opened"}</dt>
          <dd>
            {open ? <Age since={incident.openedAt} now={now} /> : <Ago at={incident.openedAt} now={now} />}
          </dd>
        </div>
        <div>
          <dt>Seen</dt>
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
      {mayRespond(admin) && asset.status === "ACTIVE" && (
        <p>
          <a class="button" href={`/assets/${asset.assetId}#containment`}>
            Isolate this host…
          </a>
        </p>
      )}
    </div>
  );
};
