import type { Admin } from "../admin/authenticate.ts";
import type { FleetRow } from "../admin/read.ts";
import type { Deps } from "../deps.ts";
import { plural } from "./badges.tsx";
import { DownloadLinks } from "./download-links.tsx";
import { kindName } from "./engines.tsx";
import { type Counted, type Fleet, inventoryOf } from "./fleet.ts";
import { Empty, Layout } from "./layout.tsx";

const ROWS_MAX = 200;
const HOSTS_SHOWN_MAX = 3;

/** Every engine and model that agents named, with who runs it. */
export async function inventoryPage(admin: Admin, deps: Deps, fleetOf: (id: string) => Promise<Fleet>) {
  const { rows } = await fleetOf(admin.tenantId);
  const { engines, models, kinds, kindOf, withEngine, withModel } = inventoryOf(rows);
  return (
    <Layout
      frame={{
        title: "AI inventory",
        admin,
        place: "inventory",
        nowMs: deps.clock(),
        live: true,
        reloadSeconds: 60,
      }}
    >
      <div class="page-head">
        <h1>AI inventory</h1>
        <p class="muted">
          {plural(engines.length, "engine")} of {plural(kinds.length, "kind")} and{" "}
          {plural(models.length, "model")}, by what agents said last.
        </p>
      </div>
      <section id="inventory-engines" class="card" data-live aria-labelledby="inventory-engines-title">
        <div class="card-head">
          <h2 id="inventory-engines-title">Engines</h2>
          {engines.length + models.length > 0 && <DownloadLinks list="inventory" />}
        </div>
        <InventoryTable
          what="Engine"
          parameter="engine"
          counted={engines}
          hosts={withEngine}
          kinds={kindOf}
        />
      </section>
      <section id="inventory-models" class="card" data-live aria-labelledby="inventory-models-title">
        <h2 id="inventory-models-title">Models</h2>
        <InventoryTable what="Model" parameter="model" counted={models} hosts={withModel} />
      </section>
    </Layout>
  );
}

const InventoryTable = (table: {
  what: string;
  parameter: string;
  counted: Counted[];
  hosts: ReadonlyMap<string, FleetRow[]>;
  kinds?: ReadonlyMap<string, string>;
}) =>
  table.counted.length === 0 ? (
    <Empty title={`No ${table.what.toLowerCase()} found`} />
  ) : (
    <>
      <table class="assets inventory">
        <thead>
          <tr>
            <th scope="col">{table.what}</th>
            <th scope="col">Where</th>
            <th scope="col" class="number">
              Hosts
            </th>
          </tr>
        </thead>
        <tbody>
          {table.counted.slice(0, ROWS_MAX).map(({ key, name, hosts }) => (
            <tr data-key={key}>
              <th scope="row">
                <bdi>{name}</bdi>
                {table.kinds && <p class="muted small">{kindName(table.kinds.get(key) ?? "")}</p>}
              </th>
              <td data-label="Where">
                <Where rows={table.hosts.get(key) ?? []} />
              </td>
              <td data-label="Hosts" class="number">
                <a href={`/assets?${new URLSearchParams({ [table.parameter]: key })}`}>
                  {plural(hosts, "host")}
                </a>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {table.counted.length > ROWS_MAX && (
        <p class="more">{plural(table.counted.length - ROWS_MAX, "more")} not shown, each on fewer hosts.</p>
      )}
    </>
  );

const Where = ({ rows }: { rows: FleetRow[] }) => (
  <span class="badges">
    {rows.slice(0, HOSTS_SHOWN_MAX).map((row) => (
      <a class="chip" href={`/assets/${row.assetId}`}>
        <bdi>{row.hostname}</bdi>
      </a>
    ))}
    {rows.length > HOSTS_SHOWN_MAX && (
      <span class="muted">and {String(rows.length - HOSTS_SHOWN_MAX)} more</span>
    )}
  </span>
);
