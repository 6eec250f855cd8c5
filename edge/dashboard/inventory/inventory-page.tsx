import type { Admin } from "../../auth/permissions.ts";
import { plural } from "../components/badges.tsx";
import { CountNotices } from "../components/count-notices.tsx";
import { DownloadLinks } from "../components/download-links.tsx";
import { Icon } from "../components/icon.tsx";
import { KeyboardShortcuts } from "../components/keyboard-shortcuts.tsx";
import { Layout } from "../components/layout.tsx";
import { pageAfter, TextFilter } from "../components/list-paging.tsx";
import type { DashboardDeps } from "../deps.ts";
import { type Fleet, type Holdings, inventoryOf } from "../overview/fleet-cache.ts";
import { modelsOf } from "./fleet-models.ts";
import { entriesMatching, type FleetReads, type InventoryQuery, modelsMatching } from "./inventory-query.ts";
import { InventoryTable, ModelsNotCounted, ModelTable, type View } from "./inventory-tables.tsx";

const ROWS_MAX = 200;

/** Filters the three lists of the inventory. Returns the requested page of each list, and the fleet totals. */
function searchInventory(query: InventoryQuery, { rows }: Fleet, { holdings }: Holdings) {
  const { engines, clients, kinds, kindOf, withEngine, withClient } = inventoryOf(rows);
  const models = modelsOf(rows, holdings);
  const { q } = query;
  const found = {
    models: modelsMatching(models, q),
    engines: entriesMatching(engines, q, kindOf),
    clients: entriesMatching(clients, q),
  };
  return {
    totals: {
      engines: engines.length,
      kinds: kinds.length,
      models: models.length,
      clients: clients.length,
    },
    found,
    pages: {
      models: pageAfter(found.models, ({ name }) => name, query.afterModel, ROWS_MAX),
      engines: pageAfter(found.engines, ({ key }) => key, query.afterEngine, ROWS_MAX),
      clients: pageAfter(found.clients, ({ key }) => key, query.afterClient, ROWS_MAX),
    },
    kindOf,
    withEngine,
    withClient,
  };
}

type Search = ReturnType<typeof searchInventory>;

/** The inventory page: all engines, models and clients that agents reported, with their hosts. */
export async function inventoryPage(
  admin: Admin,
  query: InventoryQuery,
  deps: DashboardDeps,
  { fleetOf, holdingsOf }: FleetReads,
) {
  const [fleet, holdings] = await Promise.all([fleetOf(admin.tenantId), holdingsOf(admin.tenantId)]);
  const search = searchInventory(query, fleet, holdings);
  const filter = Object.entries(query).filter(([, value]) => value !== undefined) as [string, string][];
  const view = { filter, q: query.q };
  const now = deps.clock();
  return (
    <Layout
      frame={{ title: "AI inventory", admin, nav: "inventory", nowMs: now, live: true, reloadSeconds: 60 }}
    >
      <InventoryHeader totals={search.totals} />
      <CountNotices of={[fleet, holdings]} now={now} />
      {fleet.rows.length === 0 ? (
        <p class="strip">
          <Icon name="info" />
          No hosts are enrolled yet. The inventory fills when agents report.
        </p>
      ) : (
        <>
          <TextFilter
            path="/inventory"
            label="Model, licence, publisher, engine, kind or client"
            q={query.q}
          />
          <div class="list-tools">
            <KeyboardShortcuts />
          </div>
        </>
      )}
      <Models search={search} view={view} holdings={holdings.holdings} />
      <EnginesAndClients search={search} view={view} />
    </Layout>
  );
}

const InventoryHeader = ({ totals: { engines, kinds, models, clients } }: Pick<Search, "totals">) => (
  <div class="page-head">
    <h1>AI inventory</h1>
    <p class="muted">
      <a href="#inventory-engines">{plural(engines, "engine")}</a> of {plural(kinds, "kind")},{" "}
      <a href="#inventory-models">{plural(models, "model")}</a> and{" "}
      <a href="#inventory-clients">{plural(clients, "local client")}</a>, from the last report of each host.
    </p>
  </div>
);

type Part = { search: Search; view: View };

const Models = ({ search, view, holdings }: Part & { holdings: Holdings["holdings"] }) => (
  <section id="inventory-models" class="card" data-live aria-labelledby="inventory-models-title">
    <div class="card-head">
      <h2 id="inventory-models-title">Models</h2>
      {search.found.models.length > 0 && <DownloadLinks list="models" filter={{ q: view.q }} />}
    </div>
    <ModelTable page={search.pages.models} total={search.found.models.length} view={view} />
    <ModelsNotCounted holdings={holdings} />
  </section>
);

const EnginesAndClients = ({ search, view }: Part) => (
  <>
    <section id="inventory-engines" class="card" data-live aria-labelledby="inventory-engines-title">
      <div class="card-head">
        <h2 id="inventory-engines-title">Engines</h2>
        {search.found.engines.length > 0 && <DownloadLinks list="inventory" filter={{ q: view.q }} />}
      </div>
      <InventoryTable
        what="Engine"
        parameter="engine"
        page={search.pages.engines}
        total={search.found.engines.length}
        hosts={search.withEngine}
        kinds={search.kindOf}
        view={view}
      />
    </section>
    <section id="inventory-clients" class="card" data-live aria-labelledby="inventory-clients-title">
      <h2 id="inventory-clients-title">Clients</h2>
      <InventoryTable
        what="Client"
        parameter="client"
        page={search.pages.clients}
        total={search.found.clients.length}
        hosts={search.withClient}
        view={view}
      />
    </section>
  </>
);
