import type { FleetCounts } from "../../../shared/table/items/fleet.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { may } from "../../auth/authenticate.ts";
import type { Admin } from "../../auth/permissions.ts";
import type { IncidentView } from "../../control/incidents/list-incidents.ts";
import { BULK_INCIDENTS_MAX } from "../../control/incidents/update-incidents.ts";
import { plural } from "../components/badges.tsx";
import { ChangeForm } from "../components/change-form.tsx";
import { DownloadLinks } from "../components/download-links.tsx";
import { KeyboardShortcuts } from "../components/keyboard-shortcuts.tsx";
import { Empty, Layout } from "../components/layout.tsx";
import { type Notice, NoticeStrip } from "../components/notice.tsx";
import { AGE_SHOWN_AFTER_MS, Ago } from "../components/time.tsx";
import type { DashboardDeps } from "../deps.ts";
import { allRows, type Fleet, type FleetNumbers } from "../overview/fleet-cache.ts";
import { csrfToken } from "../session/csrf.ts";
import { IncidentFilter } from "./incident-filter.tsx";
import {
  type EmployeeOf,
  employeesBy,
  filterOf,
  findOpen,
  type IncidentQuery,
  incidentMatcher,
  type OpenIncidents,
  RESOLVED_KEPT_MAX,
  type Resolved,
  RISKS_SHOWN,
  SHOWN_MAX,
  sortKeyOf,
  unknownEmployee,
} from "./incident-search.ts";
import { IncidentList, isAcknowledged } from "./incident-table.tsx";

type IncidentReads = {
  fleetOf: (tenantId: string) => Promise<Fleet>;
  numbersOf: (tenantId: string) => Promise<FleetNumbers>;
  resolvedOf: (tenantId: string) => Promise<Resolved>;
};

/** Incidents on the page. They are either the open incidents of each risk, or one page of resolved incidents. */
type Shown = {
  incidents: IncidentView[];
  open: OpenIncidents[];
  resolved?: { of: Resolved; matching: number; next: string | undefined };
};

async function findShown(
  deps: DashboardDeps,
  tenantId: string,
  query: IncidentQuery,
  reads: IncidentReads | undefined,
): Promise<Shown> {
  // Only a text search needs the employees, because it also searches employee ids.
  const isSearched = query.q !== undefined && reads !== undefined;
  const employeeOf = isSearched ? employeesBy(allRows(await reads.fleetOf(tenantId))) : unknownEmployee;
  if (query.status === "resolved" && reads)
    return findResolved(await reads.resolvedOf(tenantId), query, employeeOf, deps.clock());
  const risks = query.risk ? [query.risk] : RISKS_SHOWN;
  const open = await Promise.all(risks.map((risk) => findOpen(deps, tenantId, risk, query, employeeOf)));
  return { incidents: open.flatMap(({ incidents }) => incidents), open };
}

function findResolved(of: Resolved, query: IncidentQuery, employeeOf: EmployeeOf, now: number): Shown {
  const { after } = query;
  const matching = of.incidents.filter(incidentMatcher(query, employeeOf, now));
  const rest = after === undefined ? matching : matching.filter((incident) => sortKeyOf(incident) < after);
  const incidents = rest.slice(0, SHOWN_MAX);
  const next = rest.length > SHOWN_MAX ? sortKeyOf(incidents.at(-1)!) : undefined;
  return { incidents, open: [], resolved: { of, matching: matching.length, next } };
}

const headingOf = ({ status }: IncidentQuery): string =>
  status === "resolved" ? "Resolved incidents" : "Open incidents";

const titleOf = (query: IncidentQuery): string =>
  query.risk ? `${headingOf(query)}: ${query.risk.toLowerCase()}` : headingOf(query);

type IncidentsAnswer = { notice?: Notice | undefined; reads?: IncidentReads | undefined };

/**
 * The page of open or resolved incidents, with a filter. Users who may handle incidents can acknowledge
 * several incidents together.
 */
export async function incidentsPage(
  admin: Admin,
  query: IncidentQuery,
  deps: DashboardDeps,
  { notice, reads }: IncidentsAnswer = {},
) {
  const { tenantId } = admin;
  const [shown, numbers] = await Promise.all([
    findShown(deps, tenantId, query, reads),
    reads?.numbersOf(tenantId),
  ]);
  const now = deps.clock();
  const mayAnswer = may(admin, "handle-incidents") && deps.controlKey !== undefined;
  const csrf = mayAnswer ? await csrfToken(admin, deps) : undefined;
  return (
    <Layout
      frame={{
        title: titleOf(query),
        admin,
        nav: "incidents",
        nowMs: now,
        live: true,
        reloadSeconds: mayAnswer ? undefined : 30,
        pollPath: notice && "/incidents",
      }}
    >
      <div id="incidents-head" class="page-head" data-live>
        <h1>{headingOf(query)}</h1>
        <p class="muted">
          {query.status === "resolved"
            ? "Resolved incidents of all hosts, newest first, each with the reason."
            : "Each incident is one combination of host, rule and engine. It stays open until its condition is gone or a user resolves it."}
        </p>
      </div>
      <NoticeStrip notice={notice} />
      <IncidentFilter query={query} engines={enginesOf(numbers?.counts, shown.incidents, query)} />
      <div class="list-tools">
        <div id="incident-bulk" data-live>
          {csrf !== undefined && shown.incidents.some(isSelectable) && <BulkForm csrf={csrf} />}
        </div>
        <KeyboardShortcuts selects={csrf !== undefined} />
      </div>
      <ShownIncidents
        shown={shown}
        query={query}
        now={now}
        form={csrf === undefined ? undefined : BULK_FORM_ID}
      />
    </Layout>
  );
}

const isSelectable = (incident: IncidentView): boolean =>
  incident.status === "OPEN" && !isAcknowledged(incident);

const ShownIncidents = (list: {
  shown: Shown;
  query: IncidentQuery;
  now: number;
  form: string | undefined;
}) => {
  const { shown, query, now } = list;
  const { incidents, open, resolved } = shown;
  const filter = filterOf(query);
  // If the only filter is the risk, all incidents on later pages match. With other filters, later incidents
  // may not match.
  const isSearched = filter.some(([name]) => name !== "risk" && name !== "status");
  return (
    <section id="incident-list" class="card" data-live aria-label={headingOf(query)}>
      <ExpiredIncidents open={open} filter={filter} />
      {resolved && <ResolvedNotices of={resolved.of} now={now} />}
      {incidents.length > 0 ? (
        <>
          <div class="card-head">
            <p class="count">{summary(shown, isSearched)}</p>
            <DownloadLinks list="incidents" filter={Object.fromEntries(filter)} />
          </div>
          <IncidentList incidents={incidents} now={now} form={list.form} />
        </>
      ) : (
        <NoIncidents shown={shown} query={query} />
      )}
      {open.map(
        (part) =>
          part.cursor !== undefined && <OlderIncidents part={part} filter={filter} cursor={part.cursor} />,
      )}
      {resolved && <ResolvedPager query={query} next={resolved.next} />}
    </section>
  );
};

/** Engines that the filter offers: the engines of the fleet and of the shown incidents, and the selected engine. */
function enginesOf(
  counts: FleetCounts | undefined,
  incidents: readonly IncidentView[],
  { engine }: IncidentQuery,
): [id: string, name: string][] {
  const known = new Map<string, string>(engine === undefined ? [] : [[engine, engine]]);
  for (const one of incidents) known.set(one.engine, one.engineName);
  for (const { key, name } of counts?.engines.first ?? []) known.set(key, name);
  return [...known].sort(([, a], [, b]) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1));
}

const BULK_FORM_ID = "bulk";

/**
 * A form to acknowledge several incidents. Its checkboxes are in the list rows and refer to this form by id.
 * The selection therefore survives updates of the list.
 */
const BulkForm = ({ csrf }: { csrf: string }) => (
  <ChangeForm id={BULK_FORM_ID} look="bulk" action="/incidents/acknowledge" hidden={{ csrf }}>
    <button type="submit">Acknowledge selected</button>
    <span class="muted small">
      {`Up to ${BULK_INCIDENTS_MAX} incidents at a time. Each gets its own custody record and stays open.`}
    </span>
  </ChangeForm>
);

const summary = ({ open, resolved, incidents }: Shown, isSearched: boolean): string => {
  if (resolved) {
    const words = plural(resolved.matching, "resolved incident");
    return resolved.matching === incidents.length ? words : `${words}, ${incidents.length} shown`;
  }
  return open
    .map(({ risk, incidents: { length }, cursor }) => {
      const more = cursor === undefined ? "" : ` shown, and there ${isSearched ? "may be" : "are"} more`;
      return `${length} ${risk.toLowerCase()}${more}`;
    })
    .join(" · ");
};

const NoIncidents = ({ shown, query }: { shown: Shown; query: IncidentQuery }) => {
  const { status, ...filter } = Object.fromEntries(filterOf(query));
  const isFiltered = Object.keys(filter).length > 0;
  if (status === "resolved") {
    if (!isFiltered) return <Empty title="No resolved incidents" />;
    return (
      <Empty title="No resolved incident matches">
        <a href="/incidents?status=resolved">Show all resolved incidents</a>
      </Empty>
    );
  }
  if (isFiltered)
    return (
      <Empty
        title={
          shown.open.some(({ cursor }) => cursor !== undefined)
            ? "No match among the open incidents searched so far"
            : "No open incident matches"
        }
      >
        <a href="/incidents">Show all open incidents</a>
      </Empty>
    );
  return (
    <Empty title="No open incidents">
      Every rule is applied to each state that agents report. Hosts without an agent, silent hosts and failed
      sources are not covered. The <a href="/">overview</a> shows how many hosts are silent or have failed
      sources.
    </Empty>
  );
};

/** Links to open incidents of expired hosts, which the list leaves out. */
const ExpiredIncidents = ({
  open,
  filter,
}: {
  open: readonly OpenIncidents[];
  filter: [string, string][];
}) => {
  const count = open.reduce((sum, { expiredLeftOut }) => sum + expiredLeftOut, 0);
  if (count === 0) return null;
  return (
    <p class="muted small">
      This list leaves out{" "}
      <a href={`/incidents?${new URLSearchParams([...filter, ["hosts", "expired"]])}`}>
        {plural(count, "open incident")} of expired hosts
      </a>
      .{" "}
      {count === 1 ? "It returns when its host reports again." : "They return when their hosts report again."}
    </p>
  );
};

const OlderIncidents = (more: { part: OpenIncidents; filter: [string, string][]; cursor: string }) => {
  const { risk, searched } = more.part;
  const kept = more.filter.filter(([name]) => name !== "risk");
  const next = new URLSearchParams([...kept, ["risk", risk], ["cursor", more.cursor]]);
  return (
    <p class="more">
      {kept.length > 0 && `Searched ${plural(searched, `${risk.toLowerCase()} incident`)}. `}
      <a href={`/incidents?${next}`}>Older {risk.toLowerCase()} incidents</a>
    </p>
  );
};

/** Says how old the cached list of resolved incidents is, and whether it is complete. */
const ResolvedNotices = ({ of: { total, complete, readAtMs }, now }: { of: Resolved; now: number }) => (
  <>
    {now - readAtMs > AGE_SHOWN_AFTER_MS && (
      <p class="muted small">
        List read <Ago at={timestamp(readAtMs)} now={now} />.
      </p>
    )}
    {(!complete || total > RESOLVED_KEPT_MAX) && (
      <p class="strip warning">
        {complete
          ? `There are ${plural(total, "resolved incident")}. This page searches and shows the newest ${RESOLVED_KEPT_MAX.toLocaleString("en")}. The download contains all of them.`
          : "There are too many incidents to read on this page, so some resolved ones are missing, possibly including recent ones. The download contains all of them."}
      </p>
    )}
  </>
);

const ResolvedPager = ({ query, next }: { query: IncidentQuery; next: string | undefined }) => {
  const href = (more: [string, string][]) =>
    `/incidents?${new URLSearchParams([...filterOf(query), ...more])}`;
  return (
    <p class="pager">
      {query.after !== undefined && <a href={href([])}>First page</a>}
      {next !== undefined && (
        <a rel="next" href={href([["after", next]])}>
          Next {String(SHOWN_MAX)}
        </a>
      )}
    </p>
  );
};
