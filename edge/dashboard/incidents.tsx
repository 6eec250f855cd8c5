import { z } from "zod";
import type { Admin } from "../admin/authenticate.ts";
import { type IncidentView, listIncidents } from "../admin/read.ts";
import type { Deps } from "../deps.ts";
import { plural } from "./badges.tsx";
import { IncidentList } from "./incident-list.tsx";
import { Empty, Layout } from "./layout.tsx";

type OpenRisk = "CRITICAL" | "WARNING";
const RISKS_SHOWN: readonly OpenRisk[] = ["CRITICAL", "WARNING"];

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
  const words = (query.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const found: Found = { risk, incidents: [], searched: 0 };
  let from = query.risk === undefined ? undefined : query.cursor;
  do {
    const page = await listIncidents(deps, tenantId, {
      risk,
      limit: SHOWN_MAX,
      ...(from !== undefined && { from }),
    });
    found.searched += page.items.length;
    found.incidents.push(...page.items.filter((incident) => contains(incident, words)));
    from = page.cursor;
  } while (words.length > 0 && from !== undefined && found.searched < SEARCHED_MAX);
  return from === undefined ? found : { ...found, cursor: from };
}

function contains(incident: IncidentView, words: readonly string[]): boolean {
  const { hostname, engineName, rule, explanation, assetId } = incident;
  const text = [hostname, engineName, rule, explanation, assetId].join("\n").toLowerCase();
  return words.every((word) => text.includes(word));
}

export async function incidentsPage(admin: Admin, query: IncidentQuery, deps: Deps) {
  const risks = query.risk ? [query.risk] : RISKS_SHOWN;
  const found = await Promise.all(risks.map((risk) => findIncidents(deps, admin.tenantId, risk, query)));
  const now = deps.clock();
  const shown = found.flatMap(({ incidents }) => incidents);
  const title = query.risk ? `Open incidents: ${query.risk.toLowerCase()}` : "Open incidents";
  return (
    <Layout frame={{ title, admin, place: "incidents", nowMs: now, live: true, reloadSeconds: 30 }}>
      <div class="page-head">
        <h1>Open incidents</h1>
        <p class="muted">One for each asset, rule and engine, until its condition is gone.</p>
      </div>
      <IncidentFilter query={query} />
      <section id="incident-list" class="card" data-live aria-label="Open incidents">
        {shown.length > 0 ? (
          <>
            <p class="count">{summary(found)}</p>
            <IncidentList incidents={shown} now={now} />
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
    <Empty title="No open incidents" icon="ok">
      Every rule was evaluated on every state that agents reported. Hosts that are silent and sources that
      failed were not looked at: the <a href="/">overview</a> counts them.
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
