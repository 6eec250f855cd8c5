import { z } from "zod";
import { BULK_INCIDENTS_MAX } from "../admin/answer-incidents.ts";
import { type Admin, may } from "../admin/authenticate.ts";
import { type IncidentView, listIncidents } from "../admin/read.ts";
import type { Deps } from "../deps.ts";
import { plural } from "./badges.tsx";
import { ChangeForm } from "./change-form.tsx";
import { csrfToken } from "./csrf.ts";
import { DownloadLinks } from "./download-links.tsx";
import { IncidentList } from "./incident-list.tsx";
import { Keys } from "./keys.tsx";
import { Empty, Layout } from "./layout.tsx";
import { type Notice, NoticeStrip } from "./notice.tsx";

type OpenRisk = "CRITICAL" | "WARNING";
export const RISKS_SHOWN: readonly OpenRisk[] = ["CRITICAL", "WARNING"];

const SHOWN_MAX = 100;
/** A text filter looks through this many of the newest of each risk. */
const SEARCHED_MAX = 1000;

const blank = z.literal("").transform(() => undefined);
export const incidentQuery = z.object({
  risk: blank.or(z.enum(["CRITICAL", "WARNING"])).optional(),
  q: blank.or(z.string().max(200)).optional(),
  cursor: z.string().max(2000).optional(),
});
export type IncidentQuery = z.infer<typeof incidentQuery>;

type Found = { risk: OpenRisk; incidents: IncidentView[]; searched: number; cursor?: string };

/** Open incidents of a risk that contain every word of the text, from GSI2 and so without the resolved ones. */
async function findIncidents(
  deps: Deps,
  tenantId: string,
  risk: OpenRisk,
  query: IncidentQuery,
): Promise<Found> {
  const found: Found = { risk, incidents: [], searched: 0 };
  let from = query.risk === undefined ? undefined : query.cursor;
  do {
    const page = await listIncidents(deps, tenantId, {
      risk,
      limit: SHOWN_MAX,
      ...(from !== undefined && { from }),
    });
    found.searched += page.items.length;
    found.incidents.push(...page.items.filter((incident) => contains(incident, query.q)));
    from = page.cursor;
  } while (query.q !== undefined && from !== undefined && found.searched < SEARCHED_MAX);
  return from === undefined ? found : { ...found, cursor: from };
}

/** Whether every word of the text stands somewhere in what the list shows of it. */
export function contains(incident: IncidentView, q: string | undefined): boolean {
  const words = (q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const { hostname, engineName, rule, explanation, assetId } = incident;
  const text = [hostname, engineName, rule, explanation, assetId].join("\n").toLowerCase();
  return words.every((word) => text.includes(word));
}

export async function incidentsPage(
  admin: Admin,
  query: IncidentQuery,
  deps: Deps,
  notice?: Notice | undefined,
) {
  const risks = query.risk ? [query.risk] : RISKS_SHOWN;
  const found = await Promise.all(risks.map((risk) => findIncidents(deps, admin.tenantId, risk, query)));
  const now = deps.clock();
  const answers = may(admin, "handle-incidents") && deps.controlKey !== undefined;
  const csrf = answers ? await csrfToken(admin, deps) : undefined;
  const shown = found.flatMap(({ incidents }) => incidents);
  const title = query.risk ? `Open incidents: ${query.risk.toLowerCase()}` : "Open incidents";
  return (
    <Layout
      frame={{
        title,
        admin,
        place: "incidents",
        nowMs: now,
        live: true,
        reloadSeconds: answers ? undefined : 30,
        pollPath: notice && "/incidents",
      }}
    >
      <div class="page-head">
        <h1>Open incidents</h1>
        <p class="muted">One for each asset, rule and engine, until its condition is gone.</p>
      </div>
      <NoticeStrip notice={notice} />
      <IncidentFilter query={query} />
      <div class="list-tools">
        {csrf !== undefined && shown.length > 0 && <BulkForm csrf={csrf} />}
        <Keys ticks={csrf !== undefined} />
      </div>
      <section id="incident-list" class="card" data-live aria-label="Open incidents">
        {shown.length > 0 ? (
          <>
            <div class="card-head">
              <p class="count">{summary(found)}</p>
              <DownloadLinks list="incidents" filter={{ risk: query.risk, q: query.q }} />
            </div>
            <IncidentList incidents={shown} now={now} form={csrf === undefined ? undefined : BULK_FORM_ID} />
          </>
        ) : (
          <Nothing filtered={query.q !== undefined || query.risk !== undefined} />
        )}
        {found.map(
          (part) => part.cursor !== undefined && <More part={part} query={query} cursor={part.cursor} />,
        )}
      </section>
    </Layout>
  );
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

const summary = (found: readonly Found[]): string =>
  found
    .map(({ risk, incidents, cursor }) => {
      const more = cursor === undefined ? "" : " shown, there are more";
      return `${incidents.length} ${risk.toLowerCase()}${more}`;
    })
    .join(" · ");

const Nothing = ({ filtered }: { filtered: boolean }) =>
  filtered ? (
    <Empty title="No open incident matches">
      <a href="/incidents">Show all open incidents</a>
    </Empty>
  ) : (
    <Empty title="No open incidents">
      Every rule is evaluated on every state that agents report. Hosts without an agent, hosts that are silent
      and sources that failed are not looked at: the <a href="/">overview</a> counts those it knows of.
    </Empty>
  );

const More = ({ part, query, cursor }: { part: Found; query: IncidentQuery; cursor: string }) => {
  const next = new URLSearchParams({ risk: part.risk, ...(query.q !== undefined && { q: query.q }), cursor });
  return (
    <p class="more">
      {query.q !== undefined &&
        `Searched the newest ${plural(part.searched, `${part.risk.toLowerCase()} incident`)}. `}
      <a href={`/incidents?${next}`}>Older {part.risk.toLowerCase()} incidents</a>
    </p>
  );
};

const IncidentFilter = ({ query }: { query: IncidentQuery }) => (
  <search>
    <form class="filter" method="get" action="/incidents" data-filter>
      <div class="field grow">
        <label for="q">Host, engine, rule or words of the explanation</label>
        <input id="q" name="q" type="search" maxlength={200} value={query.q ?? ""} autocomplete="off" />
      </div>
      <fieldset class="choice">
        <legend>Risk</legend>
        {[
          { value: "", label: "All" },
          { value: "CRITICAL", label: "Critical" },
          { value: "WARNING", label: "Warning" },
        ].map(({ value, label }) => (
          <label>
            <input type="radio" name="risk" value={value} checked={(query.risk ?? "") === value} />
            <span>{label}</span>
          </label>
        ))}
      </fieldset>
      <button type="submit">Filter</button>
    </form>
  </search>
);
