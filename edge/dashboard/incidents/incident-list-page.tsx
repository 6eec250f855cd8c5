import type { FleetCounts } from "../../../shared/table/items/fleet.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { may } from "../../auth/authenticate.ts";
import type { Admin } from "../../auth/permissions.ts";
import type { IncidentView } from "../../control/incidents/list-incidents.ts";
import { BULK_INCIDENTS_MAX } from "../../control/incidents/update-incidents.ts";
import type { Deps } from "../../deps.ts";
import { plural } from "../components/badges.tsx";
import { ChangeForm } from "../components/change-form.tsx";
import { DownloadLinks } from "../components/download-links.tsx";
import { KeyboardShortcuts } from "../components/keyboard-shortcuts.tsx";
import { Empty, Layout } from "../components/layout.tsx";
import { type Notice, NoticeStrip } from "../components/notice.tsx";
import { AGE_TOLD_MS, Ago } from "../components/time.tsx";
import { allRows, type Fleet, type FleetNumbers } from "../overview/fleet-cache.ts";
import { csrfToken } from "../session/csrf.ts";
import {
  AGES,
  type EmployeeOf,
  employeesBy,
  type Found,
  filterOf,
  findOpen,
  type IncidentQuery,
  incidentMatcher,
  nobody,
  placeOf,
  RESOLVED_KEPT_MAX,
  type Resolved,
  RISKS_SHOWN,
  SHOWN_MAX,
} from "./incident-search.ts";
import { IncidentList, isAcknowledged } from "./incident-table.tsx";

export type IncidentReads = {
  fleetOf: (tenantId: string) => Promise<Fleet>;
  numbersOf: (tenantId: string) => Promise<FleetNumbers>;
  resolvedOf: (tenantId: string) => Promise<Resolved>;
};

/** What a page shows: open ones by risk, or the resolved ones among all that were read. */
type Shown = {
  incidents: IncidentView[];
  open: Found[];
  resolved?: { of: Resolved; matching: number; next: string | undefined };
};

async function findShown(
  deps: Deps,
  tenantId: string,
  query: IncidentQuery,
  reads: IncidentReads | undefined,
): Promise<Shown> {
  // The picture of the fleet is asked for only where its people are.
  const isSearched = query.q !== undefined && reads !== undefined;
  const employeeOf = isSearched ? employeesBy(allRows(await reads.fleetOf(tenantId))) : nobody;
  if (query.status === "resolved" && reads)
    return findResolved(await reads.resolvedOf(tenantId), query, employeeOf, deps.clock());
  const risks = query.risk ? [query.risk] : RISKS_SHOWN;
  const open = await Promise.all(risks.map((risk) => findOpen(deps, tenantId, risk, query, employeeOf)));
  return { incidents: open.flatMap(({ incidents }) => incidents), open };
}

function findResolved(of: Resolved, query: IncidentQuery, employeeOf: EmployeeOf, now: number): Shown {
  const { after } = query;
  const matching = of.incidents.filter(incidentMatcher(query, employeeOf, now));
  const rest = after === undefined ? matching : matching.filter((incident) => placeOf(incident) < after);
  const incidents = rest.slice(0, SHOWN_MAX);
  const next = rest.length > SHOWN_MAX ? placeOf(incidents.at(-1)!) : undefined;
  return { incidents, open: [], resolved: { of, matching: matching.length, next } };
}

const titleOf = ({ status, risk }: IncidentQuery): string => {
  const title = status === "resolved" ? "Resolved incidents" : "Open incidents";
  return risk ? `${title}: ${risk.toLowerCase()}` : title;
};

export async function incidentsPage(
  admin: Admin,
  query: IncidentQuery,
  deps: Deps,
  { notice, reads }: { notice?: Notice | undefined; reads?: IncidentReads | undefined } = {},
) {
  const { tenantId } = admin;
  const [shown, numbers] = await Promise.all([
    findShown(deps, tenantId, query, reads),
    reads?.numbersOf(tenantId),
  ]);
  const now = deps.clock();
  const answers = may(admin, "handle-incidents") && deps.controlKey !== undefined;
  const csrf = answers ? await csrfToken(admin, deps) : undefined;
  const { incidents } = shown;
  const isOpen = query.status !== "resolved";
  const tickable = incidents.some((one) => one.status === "OPEN" && !isAcknowledged(one));
  const filter = filterOf(query);
  // Of one risk all are looked at: only by another filter may what is further on hold none.
  const isSearched = filter.some(([name]) => name !== "risk" && name !== "status");
  return (
    <Layout
      frame={{
        title: titleOf(query),
        admin,
        place: "incidents",
        nowMs: now,
        live: true,
        reloadSeconds: answers ? undefined : 30,
        pollPath: notice && "/incidents",
      }}
    >
      <div id="incidents-head" class="page-head" data-live>
        <h1>{isOpen ? "Open incidents" : "Resolved incidents"}</h1>
        <p class="muted">
          {isOpen
            ? "One for each asset, rule and engine, until its condition is gone."
            : "Of every host, the newest first: by whom, or by the quiet period, and why."}
        </p>
      </div>
      <NoticeStrip notice={notice} />
      <IncidentFilter query={query} engines={enginesOf(numbers?.counts, incidents, query)} />
      <div class="list-tools">
        <div id="incident-bulk" data-live>
          {csrf !== undefined && tickable && <BulkForm csrf={csrf} />}
        </div>
        <KeyboardShortcuts selects={csrf !== undefined} />
      </div>
      <section
        id="incident-list"
        class="card"
        data-live
        aria-label={isOpen ? "Open incidents" : "Resolved incidents"}
      >
        <ExpiredIncidents open={shown.open} filter={filter} />
        {shown.resolved && <ResolvedRead of={shown.resolved.of} now={now} />}
        {incidents.length > 0 ? (
          <>
            <div class="card-head">
              <p class="count">{summary(shown, isSearched)}</p>
              <DownloadLinks list="incidents" filter={Object.fromEntries(filter)} />
            </div>
            <IncidentList
              incidents={incidents}
              now={now}
              form={csrf === undefined ? undefined : BULK_FORM_ID}
            />
          </>
        ) : (
          <Nothing shown={shown} query={query} />
        )}
        {shown.open.map(
          (part) => part.cursor !== undefined && <More part={part} filter={filter} cursor={part.cursor} />,
        )}
        {shown.resolved && <ResolvedPager query={query} next={shown.resolved.next} />}
      </section>
    </Layout>
  );
}

/** Engines to choose from: of the fleet, of what is shown, and what was chosen. */
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

/** Its boxes stand in the rows, each tied to it by name: ticked ones survive the list's being read again. */
const BulkForm = ({ csrf }: { csrf: string }) => (
  <ChangeForm id={BULK_FORM_ID} look="bulk" action="/incidents/acknowledge" hidden={{ csrf }}>
    <button type="submit">Acknowledge the ticked</button>
    <span class="muted small">
      up to {String(BULK_INCIDENTS_MAX)}, each with a record of its own; they stay open
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
      const more = cursor === undefined ? "" : ` shown, there ${isSearched ? "may be" : "are"} more`;
      return `${length} ${risk.toLowerCase()}${more}`;
    })
    .join(" · ");
};

const Nothing = ({ shown, query }: { shown: Shown; query: IncidentQuery }) => {
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
            ? "No open incident matches among those searched"
            : "No open incident matches"
        }
      >
        <a href="/incidents">Show all open incidents</a>
      </Empty>
    );
  return (
    <Empty title="No open incidents">
      Every rule is evaluated on every state that agents report. Hosts without an agent, hosts that are silent
      and sources that failed are not looked at: the <a href="/">overview</a> counts those it knows of.
    </Empty>
  );
};

/** Open incidents of hosts that left the active list stay open, and come back with the host. */
const ExpiredIncidents = ({ open, filter }: { open: readonly Found[]; filter: [string, string][] }) => {
  const count = open.reduce((sum, { expiredLeftOut }) => sum + expiredLeftOut, 0);
  if (count === 0) return null;
  return (
    <p class="muted small">
      <a href={`/incidents?${new URLSearchParams([...filter, ["hosts", "expired"]])}`}>
        {plural(count, "open incident")} of expired hosts
      </a>{" "}
      {count === 1 ? "is" : "are"} left out. {count === 1 ? "It comes" : "They come"} back with the host.
    </p>
  );
};

const More = (more: { part: Found; filter: [string, string][]; cursor: string }) => {
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

/** What the list of resolved ones was made of: it is read in one go, and not for every page. */
const ResolvedRead = ({ of: { total, complete, readAtMs }, now }: { of: Resolved; now: number }) => (
  <>
    {now - readAtMs > AGE_TOLD_MS && (
      <p class="muted small">
        Read <Ago at={timestamp(readAtMs)} now={now} />.
      </p>
    )}
    {(!complete || total > RESOLVED_KEPT_MAX) && (
      <p class="strip warning">
        {complete
          ? `There are ${plural(total, "resolved incident")}: the ${RESOLVED_KEPT_MAX.toLocaleString("en")} newest are searched and shown. The download has all.`
          : "There are more incidents than are read here, so some resolved ones are missing, newer ones maybe too. The download has all."}
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

type Option = readonly [value: string, label: string];

const Choice = (choice: { name: string; legend: string; value: string; options: readonly Option[] }) => (
  <fieldset class="choice">
    <legend>{choice.legend}</legend>
    {choice.options.map(([value, label]) => (
      <label>
        <input type="radio" name={choice.name} value={value} checked={choice.value === value} />
        <span>{label}</span>
      </label>
    ))}
  </fieldset>
);

const Select = (select: {
  name: string;
  label: string;
  value: string | undefined;
  options: readonly Option[];
}) => (
  <div class="field">
    <label for={select.name}>{select.label}</label>
    <select id={select.name} name={select.name}>
      <option value="">Any</option>
      {select.options.map(([value, label]) => (
        <option value={value} selected={select.value === value}>
          {label}
        </option>
      ))}
    </select>
  </div>
);

const IncidentFilter = ({ query, engines }: { query: IncidentQuery; engines: readonly Option[] }) => (
  <search>
    <form class="filter" method="get" action="/incidents" data-filter>
      <div class="field grow">
        <label for="q">Host, employee, engine, rule or words of the explanation</label>
        <input id="q" name="q" type="search" maxlength={200} value={query.q ?? ""} autocomplete="off" />
      </div>
      <Choice
        name="status"
        legend="State"
        value={query.status === "resolved" ? "resolved" : ""}
        options={[
          ["", "Open"],
          ["resolved", "Resolved"],
        ]}
      />
      <Choice
        name="risk"
        legend="Risk"
        value={query.risk ?? ""}
        options={[
          ["", "All"],
          ["CRITICAL", "Critical"],
          ["WARNING", "Warning"],
        ]}
      />
      <Select
        name="answered"
        label="Answered"
        value={query.answered}
        options={[
          ["yes", "Acknowledged"],
          ["no", "Not yet"],
        ]}
      />
      <Select name="engine" label="Engine" value={query.engine} options={engines} />
      <Select
        name="age"
        label="Opened"
        value={query.age}
        options={AGES.map(({ age, name }) => [age, name] as const)}
      />
      {query.hosts !== undefined && (
        <Select
          name="hosts"
          label="Hosts"
          value={query.hosts}
          options={[
            ["expired", "Expired"],
            ["all", "All, expired too"],
          ]}
        />
      )}
      {query.rule !== undefined && (
        <div class="field">
          <label for="rule">Rule</label>
          <input id="rule" name="rule" maxlength={200} value={query.rule} autocomplete="off" />
        </div>
      )}
      <button type="submit">Filter</button>
    </form>
  </search>
);
