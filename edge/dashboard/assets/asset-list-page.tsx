import { z } from "zod";
import type { FleetRow } from "../../../shared/fleet/read-fleet.ts";
import { reportingOf } from "../../../shared/fleet/reporting.ts";
import { assetId, slug } from "../../../shared/ids.ts";
import type { Admin } from "../../auth/permissions.ts";
import type { AssetView } from "../../control/assets/asset-view.ts";
import { listAssets, readAssets } from "../../control/assets/read-assets.ts";
import { Badge, ContainmentBadge, plural, ReportingBadge, RiskBadge } from "../components/badges.tsx";
import { CountNotices } from "../components/count-notices.tsx";
import { DownloadLinks } from "../components/download-links.tsx";
import { KeyboardShortcuts } from "../components/keyboard-shortcuts.tsx";
import { Empty, Layout } from "../components/layout.tsx";
import { Ago } from "../components/time.tsx";
import type { DashboardDeps } from "../deps.ts";
import { mayEnrol } from "../enrolment/enrolment-page.tsx";
import {
  allRows,
  type Fleet,
  type FleetFilter,
  inventoryOf,
  isFiltered,
  lifecycleOf,
  matching,
} from "../overview/fleet-cache.ts";
import { ExpiredBadge, ExpiredHostsLink } from "./lifecycle-notices.tsx";

const PAGE_SIZE = 50;
const ENGINES_SHOWN_MAX = 4;

const blank = z.literal("").transform(() => undefined);
export const assetQuery = z.object({
  q: blank.or(z.string().max(200)).optional(),
  state: blank
    .or(z.enum(["reporting", "silent", "never", "unseen", "isolated", "collectors", "ai", "expired", "all"]))
    .optional(),
  engine: blank.or(slug).optional(),
  model: blank.or(z.string().max(200)).optional(),
  client: blank.or(z.string().max(120)).optional(),
  /** Any text is valid. An employee id that does not exist matches no host. */
  employee: blank.or(z.string().max(128)).optional(),
  /** Cursor of the requested page. Used in the list without a filter. */
  cursor: z.string().max(2000).optional(),
  /** Id of the last host on the previous page. Used in the list with a filter. */
  after: assetId.optional(),
});
export type AssetQuery = z.infer<typeof assetQuery>;

const STATES: Record<NonNullable<FleetFilter["state"]>, string> = {
  reporting: "Reporting",
  silent: "Silent",
  never: "Never seen",
  unseen: "Silent or never seen",
  isolated: "Isolation requested",
  collectors: "Sources failing",
  ai: "AI found",
  expired: "Expired",
  all: "Any, including expired",
};

type Shown = { assets: AssetView[]; next?: URLSearchParams; total?: number };

/**
 * Finds the hosts to show. Without a filter, reads one page from the database table. With a filter, searches
 * the cached fleet.
 */
async function findAssets(
  deps: DashboardDeps,
  tenantId: string,
  query: AssetQuery,
  fleet: Fleet,
): Promise<Shown> {
  const { cursor, after, ...filter } = query;
  if (!isFiltered(filter)) {
    const from = cursor === undefined ? {} : { from: cursor };
    const page = await listAssets(deps, tenantId, { limit: PAGE_SIZE, lifecycle: "active", ...from });
    const shown = { assets: page.items, total: fleet.rows.length };
    return page.cursor === undefined
      ? shown
      : { ...shown, next: new URLSearchParams({ cursor: page.cursor }) };
  }
  const found = matching(rowsOf(fleet, filter), filter, deps.clock());
  const rest = after === undefined ? found : found.filter((row) => row.assetId > after);
  const ids = rest.slice(0, PAGE_SIZE).map((row) => row.assetId);
  const shown = { assets: await readAssets(deps, tenantId, ids), total: found.length };
  if (rest.length <= PAGE_SIZE) return shown;
  const set = Object.entries(filter).filter(([, value]) => value !== undefined) as [string, string][];
  return { ...shown, next: new URLSearchParams([...set, ["after", ids.at(-1)!]]) };
}

function rowsOf(fleet: Fleet, filter: FleetFilter): readonly FleetRow[] {
  const lifecycle = lifecycleOf(filter);
  if (lifecycle === "active") return fleet.rows;
  return lifecycle === "all" ? allRows(fleet) : fleet.expired;
}

export async function assetsPage(
  admin: Admin,
  query: AssetQuery,
  deps: DashboardDeps,
  fleetOf: (id: string) => Promise<Fleet>,
) {
  const fleet = await fleetOf(admin.tenantId);
  const { assets, next, total } = await findAssets(deps, admin.tenantId, query, fleet);
  const now = deps.clock();
  const { cursor, after, ...filter } = query;
  return (
    <Layout frame={{ title: "Hosts", admin, nav: "assets", nowMs: now, live: true, reloadSeconds: 60 }}>
      <div class="page-head">
        <div class="card-head">
          <h1>Hosts</h1>
          {mayEnrol(admin) && (
            <a class="button" href="/enrol">
              Enrol hosts
            </a>
          )}
        </div>
        <p class="muted">All hosts with an enrolled agent, in the order of their enrolment.</p>
        {lifecycleOf(filter) === "active" && (
          <ExpiredHostsLink count={matching(fleet.expired, filter, now).length} filter={filter} />
        )}
      </div>
      <CountNotices of={[fleet]} now={now} />
      <AssetFilter query={query} fleet={fleet} />
      <div class="list-tools">
        <KeyboardShortcuts />
      </div>
      <section id="asset-list" class="card" data-live aria-label="Hosts">
        {assets.length > 0 ? (
          <>
            <div class="card-head">
              <p class="count">
                {plural(total ?? 0, "host")}
                {isFiltered(filter) && (total === 1 ? " matches" : " match")}
                {(cursor ?? after) !== undefined && " · continued"}
              </p>
              <DownloadLinks list="assets" filter={filter} />
            </div>
            <AssetTable assets={assets} now={now} />
          </>
        ) : isFiltered(filter) ? (
          <Empty title="No host matches">
            <a href="/assets">Show all hosts</a>
          </Empty>
        ) : fleet.expired.length > 0 ? (
          <Empty title="No hosts are on the active list">
            <a href="/assets?state=expired">Show the expired hosts</a>
          </Empty>
        ) : (
          <Empty title="No hosts are enrolled yet">Hosts appear here when their agent enrols.</Empty>
        )}
        <p class="pager">
          {(cursor ?? after) !== undefined && <a href={firstPage(filter)}>First page</a>}
          {next && (
            <a rel="next" href={`/assets?${next}`}>
              Next {String(PAGE_SIZE)}
            </a>
          )}
        </p>
      </section>
    </Layout>
  );
}

function firstPage(filter: FleetFilter): string {
  const set = Object.entries(filter).filter(([, value]) => value !== undefined) as [string, string][];
  return set.length > 0 ? `/assets?${new URLSearchParams(set)}` : "/assets";
}

export const AssetTable = ({ assets, now }: { assets: AssetView[]; now: number }) => (
  <table class="assets">
    <thead>
      <tr>
        <th scope="col">Host</th>
        <th scope="col">State</th>
        <th scope="col">AI found</th>
        <th scope="col">Last seen</th>
      </tr>
    </thead>
    <tbody>
      {assets.map((asset) => (
        <AssetRow asset={asset} now={now} />
      ))}
    </tbody>
  </table>
);

const AssetRow = ({ asset, now }: { asset: AssetView; now: number }) => {
  const { presence, containment } = asset;
  return (
    <tr data-key={asset.assetId}>
      <th scope="row">
        <a href={`/assets/${asset.assetId}`}>
          <bdi>{asset.hostname}</bdi>
        </a>
        <p class="muted small">
          <bdi>{asset.employeeId}</bdi> · <bdi>{asset.os}</bdi>
        </p>
      </th>
      <td data-label="State">
        <span class="badges">
          <ReportingBadge reporting={reportingOf(presence, now)} />
          <ExpiredBadge lifecycle={asset.lifecycle} />
          {presence && presence.risk !== "INFO" && <RiskBadge risk={presence.risk} />}
          {containment.state !== "active" && <ContainmentBadge state={containment.state} />}
          {presence && presence.failedCollectors.length > 0 && (
            <Badge tone="warning" icon="warning">
              {plural(presence.failedCollectors.length, "source failing", "sources failing")}
            </Badge>
          )}
        </span>
      </td>
      <td data-label="AI found">
        <Chips names={presence ? presence.engines.map((engine) => engine.name) : undefined} />
      </td>
      <td data-label="Last seen" class="nowrap">
        {presence ? <Ago at={presence.lastSeenAt} now={now} /> : <span class="muted">never</span>}
      </td>
    </tr>
  );
};

/**
 * Shows the names of engines. `names` is undefined if the host has never reported, and empty if no engine was
 * found.
 */
const Chips = ({ names }: { names: string[] | undefined }) => {
  if (!names) return <span class="muted">unknown</span>;
  if (names.length === 0) return <span class="muted">none found</span>;
  return (
    <span class="badges">
      {names.slice(0, ENGINES_SHOWN_MAX).map((name) => (
        <span class="chip">
          <bdi>{name}</bdi>
        </span>
      ))}
      {names.length > ENGINES_SHOWN_MAX && (
        <span class="muted">and {String(names.length - ENGINES_SHOWN_MAX)} more</span>
      )}
    </span>
  );
};

const AssetFilter = ({ query, fleet }: { query: AssetQuery; fleet: Fleet }) => (
  <search>
    <form class="filter" method="get" action="/assets" data-filter>
      <div class="field grow">
        <label for="q">Host, employee, system, engine or model</label>
        <input id="q" name="q" type="search" maxlength={200} value={query.q ?? ""} autocomplete="off" />
      </div>
      <div class="field">
        <label for="state">State</label>
        <select id="state" name="state">
          <option value="">Any</option>
          {Object.entries(STATES).map(([value, label]) => (
            <option value={value} selected={query.state === value}>
              {label}
            </option>
          ))}
        </select>
      </div>
      <div class="field">
        <label for="engine">Engine</label>
        <select id="engine" name="engine">
          <option value="">Any</option>
          {inventoryOf(fleet.rows).engines.map(({ key, name, hosts }) => (
            <option value={key} selected={query.engine === key}>
              {name} ({String(hosts)})
            </option>
          ))}
        </select>
      </div>
      {query.model !== undefined && (
        <div class="field">
          <label for="model">Model</label>
          <input id="model" name="model" maxlength={200} value={query.model} />
        </div>
      )}
      {query.client !== undefined && (
        <div class="field">
          <label for="client">Client</label>
          <input id="client" name="client" maxlength={120} value={query.client} />
        </div>
      )}
      <div class="field">
        <label for="employee">Employee (exact id)</label>
        <input
          id="employee"
          name="employee"
          type="text"
          maxlength={128}
          value={query.employee ?? ""}
          autocomplete="off"
        />
      </div>
      <button type="submit">Filter</button>
    </form>
  </search>
);
