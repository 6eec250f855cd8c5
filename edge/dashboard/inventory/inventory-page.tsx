import { z } from "zod";
import type { Counted } from "../../../shared/fleet/count.ts";
import type { FleetRow } from "../../../shared/fleet/read-fleet.ts";
import { INVENTORY_MODELS_MAX } from "../../../shared/table/items/asset/inventory.ts";
import type { Admin } from "../../auth/permissions.ts";
import type { Deps } from "../../deps.ts";
import { gigabytes, kindName } from "../assets/engines.tsx";
import { Badge, plural } from "../components/badges.tsx";
import { DownloadLinks } from "../components/download-links.tsx";
import { Icon } from "../components/icon.tsx";
import { KeyboardShortcuts } from "../components/keyboard-shortcuts.tsx";
import { Empty, Layout } from "../components/layout.tsx";
import { Counted as CountedLine } from "../components/partial-count-notice.tsx";
import { holdsWords, type Part, PartPager, partAfter, TextFilter } from "../components/table-section.tsx";
import { Ago } from "../components/time.tsx";
import { type Fleet, type Holdings, inventoryOf } from "../overview/fleet-cache.ts";
import { type FleetModel, type Held, modelsOf } from "./models.ts";

const ROWS_MAX = 200;
const HOSTS_SHOWN_MAX = 3;
const HELD_MAX = 500;

export type FleetReads = {
  fleetOf: (tenantId: string) => Promise<Fleet>;
  holdingsOf: (tenantId: string) => Promise<Holdings>;
};

const blank = z.literal("").transform(() => undefined);
const place = z.string().max(200).optional();
export const inventoryQuery = z.object({
  q: blank.or(z.string().max(200)).optional(),
  /** The last one already shown, of each of the three lists. */
  afterModel: place,
  afterEngine: place,
  afterClient: place,
});
export type InventoryQuery = z.infer<typeof inventoryQuery>;

/** Models of which the text names the model, or what is told of it. */
export const modelsNamed = (models: readonly FleetModel[], q: string | undefined): FleetModel[] => {
  const holds = holdsWords(q);
  return models.filter(({ name, licences, quantisations, publishers }) =>
    holds([name, ...licences, ...quantisations, ...publishers]),
  );
};
/** Engines and clients of which the text names the thing, its id or its kind. */
export const thingsNamed = (
  things: readonly Counted[],
  q: string | undefined,
  kindOf?: ReadonlyMap<string, string>,
): Counted[] => {
  const holds = holdsWords(q);
  return things.filter(({ key, name }) => holds([name, key, kindOf && kindName(kindOf.get(key) ?? "")]));
};

/** Every engine, model and client that agents named, with who runs it. */
export async function inventoryPage(
  admin: Admin,
  query: InventoryQuery,
  deps: Deps,
  { fleetOf, holdingsOf }: FleetReads,
) {
  const [fleet, holdings] = await Promise.all([fleetOf(admin.tenantId), holdingsOf(admin.tenantId)]);
  const { rows } = fleet;
  const { engines, clients, kinds, kindOf, withEngine, withClient } = inventoryOf(rows);
  const models = modelsOf(rows, holdings.holdings);
  const now = deps.clock();
  const { q } = query;
  const filter = Object.entries(query).filter(([, value]) => value !== undefined) as [string, string][];
  const found = {
    models: modelsNamed(models, q),
    engines: thingsNamed(engines, q, kindOf),
    clients: thingsNamed(clients, q),
  };
  const shown = {
    models: partAfter(found.models, ({ name }) => name, query.afterModel, ROWS_MAX),
    engines: partAfter(found.engines, ({ key }) => key, query.afterEngine, ROWS_MAX),
    clients: partAfter(found.clients, ({ key }) => key, query.afterClient, ROWS_MAX),
  };
  const view = { filter, isSearched: q !== undefined };
  return (
    <Layout
      frame={{
        title: "AI inventory",
        admin,
        place: "inventory",
        nowMs: now,
        live: true,
        reloadSeconds: 60,
      }}
    >
      <div class="page-head">
        <h1>AI inventory</h1>
        <p class="muted">
          <a href="#inventory-engines">{plural(engines.length, "engine")}</a> of{" "}
          {plural(kinds.length, "kind")}, <a href="#inventory-models">{plural(models.length, "model")}</a> and{" "}
          <a href="#inventory-clients">{plural(clients.length, "local program")}</a> that feed them, by what
          agents said last.
        </p>
      </div>
      <CountedLine of={[fleet, holdings]} now={now} />
      {rows.length === 0 ? (
        <p class="strip">
          <Icon name="info" />
          No agent has enrolled: nothing was looked for, so nothing was found.
        </p>
      ) : (
        <>
          <TextFilter path="/inventory" label="Model, licence, publisher, engine, kind or client" q={q} />
          <div class="list-tools">
            <KeyboardShortcuts />
          </div>
        </>
      )}
      <section id="inventory-models" class="card" data-live aria-labelledby="inventory-models-title">
        <div class="card-head">
          <h2 id="inventory-models-title">Models</h2>
          {found.models.length > 0 && <DownloadLinks list="models" filter={{ q }} />}
        </div>
        <ModelTable part={shown.models} total={found.models.length} view={view} />
        <NotListed holdings={holdings.holdings} />
      </section>
      <section id="inventory-engines" class="card" data-live aria-labelledby="inventory-engines-title">
        <div class="card-head">
          <h2 id="inventory-engines-title">Engines</h2>
          {found.engines.length > 0 && <DownloadLinks list="inventory" filter={{ q }} />}
        </div>
        <InventoryTable
          what="Engine"
          parameter="engine"
          part={shown.engines}
          total={found.engines.length}
          hosts={withEngine}
          kinds={kindOf}
          view={view}
        />
      </section>
      <section id="inventory-clients" class="card" data-live aria-labelledby="inventory-clients-title">
        <h2 id="inventory-clients-title">Clients that feed them</h2>
        <InventoryTable
          what="Client"
          parameter="client"
          part={shown.clients}
          total={found.clients.length}
          hosts={withClient}
          view={view}
        />
      </section>
    </Layout>
  );
}

type View = { filter: readonly [string, string][]; isSearched: boolean };

const NoneOf = ({ what, view }: { what: string; view: View }) =>
  view.isSearched ? (
    <Empty title={`No ${what} matches`}>
      <a href="/inventory">Show the whole inventory</a>
    </Empty>
  ) : (
    <Empty title={`No ${what} found`} />
  );

/** A host with more models than an inventory takes is counted for the first ones: that is not the whole truth. */
const NotListed = ({ holdings }: { holdings: Holdings["holdings"] }) => {
  const left = holdings.flatMap(({ modelsLeft }) => modelsLeft ?? []);
  if (left.length === 0) return null;
  const models = left.reduce((sum, one) => sum + one, 0);
  return (
    <p class="more">
      {plural(left.length, "host")} {left.length === 1 ? "holds" : "hold"} {plural(models, "model")} beyond
      the {String(INVENTORY_MODELS_MAX)} that are counted of each; the page of a host lists them.
    </p>
  );
};

export const modelQuery = z.object({ name: z.string().min(1).max(200) });

/** Who has one model, as each host has it. */
export async function modelPage(
  admin: Admin,
  { name }: z.infer<typeof modelQuery>,
  deps: Deps,
  { fleetOf, holdingsOf }: FleetReads,
) {
  const [fleet, holdings] = await Promise.all([fleetOf(admin.tenantId), holdingsOf(admin.tenantId)]);
  const model = modelsOf(fleet.rows, holdings.holdings).find((one) => one.name === name);
  const now = deps.clock();
  return (
    <Layout frame={{ title: name, admin, place: "inventory", nowMs: now, live: true, reloadSeconds: 60 }}>
      <div class="page-head">
        <p class="crumbs">
          <a href="/inventory">AI inventory</a>
        </p>
        <h1>
          <bdi>{name}</bdi>
        </h1>
      </div>
      <CountedLine of={[fleet, holdings]} now={now} />
      <section id="model" class="card" data-live aria-label="Who has it">
        {model ? (
          <>
            <div class="card-head">
              <p class="count">
                in memory on {plural(model.loaded, "host")}, at rest on {plural(model.atRest, "more", "more")}
              </p>
              <DownloadLinks list="models" filter={{ name }} />
            </div>
            <HeldTable held={model.held.slice(0, HELD_MAX)} now={now} />
            {model.held.length > HELD_MAX && (
              <p class="more">{plural(model.held.length - HELD_MAX, "more", "more")} in the download.</p>
            )}
          </>
        ) : (
          <Empty title="No host has this model">By what agents said last.</Empty>
        )}
      </section>
    </Layout>
  );
}

const HeldTable = ({ held, now }: { held: readonly Held[]; now: number }) => (
  <table class="assets">
    <thead>
      <tr>
        {["Host", "In", "Licence", "Size", "Quantisation", "Last seen"].map((head) => (
          <th scope="col">{head}</th>
        ))}
      </tr>
    </thead>
    <tbody>
      {held.map((one) => (
        <tr data-key={`${one.row.assetId}-${one.engine}-${one.loaded}`}>
          <th scope="row">
            <a href={`/assets/${one.row.assetId}`}>
              <bdi>{one.row.hostname}</bdi>
            </a>
            <p class="muted small">
              <bdi>{one.row.employeeId}</bdi>
            </p>
          </th>
          <td data-label="In">
            <span class="badges">
              <Badge tone={one.loaded ? "info" : "quiet"} icon={one.loaded ? "ok" : "absent"}>
                {one.loaded ? "In memory" : "At rest"}
              </Badge>
            </span>{" "}
            <span class="muted small">
              <bdi>{one.engine}</bdi>
            </span>
          </td>
          <td data-label="Licence">
            <Told value={one.licence} />
          </td>
          <td data-label="Size" class="nowrap">
            <Told value={one.sizeBytes === undefined ? undefined : gigabytes(one.sizeBytes)} />
          </td>
          <td data-label="Quantisation">
            <Told value={one.quantisation} />
          </td>
          <td data-label="Last seen" class="nowrap">
            {one.row.presence && <Ago at={one.row.presence.lastSeenAt} now={now} />}
          </td>
        </tr>
      ))}
    </tbody>
  </table>
);

/** A fact that no agent told is not empty, it is not known. */
const Told = ({ value }: { value: string | undefined }) =>
  value ? <bdi>{value}</bdi> : <span class="muted">not told</span>;

const ModelTable = ({ part, total, view }: { part: Part<FleetModel>; total: number; view: View }) =>
  total === 0 ? (
    <NoneOf what="model" view={view} />
  ) : (
    <>
      <p class="count">
        {plural(total, "model")}
        {part.isContinued && " · continued"}
      </p>
      <table class="assets inventory">
        <thead>
          <tr>
            <th scope="col">Model</th>
            <th scope="col">Licence</th>
            <th scope="col">Size</th>
            <th scope="col">Quantisation</th>
            <th scope="col">Who has it</th>
            <th scope="col" class="number">
              In memory
            </th>
            <th scope="col" class="number">
              At rest
            </th>
          </tr>
        </thead>
        <tbody>
          {part.rows.map((model) => (
            <ModelRow model={model} />
          ))}
        </tbody>
      </table>
      <PartPager
        part={part}
        path="/inventory"
        filter={view.filter}
        name="afterModel"
        anchor="#inventory-models"
      />
    </>
  );

const ModelRow = ({ model }: { model: FleetModel }) => {
  const { name, licences, quantisations, publishers, sizes, loaded, atRest, held } = model;
  const href = `/inventory/model?${new URLSearchParams({ name })}`;
  const people = [...new Set(held.map(({ row }) => row.employeeId))];
  return (
    <tr data-key={name}>
      <th scope="row">
        <a href={href}>
          <bdi>{name}</bdi>
        </a>
        {publishers.length > 0 && (
          <p class="muted small">
            from <bdi>{publishers.slice(0, 2).join(", ")}</bdi>
          </p>
        )}
      </th>
      <td data-label="Licence">
        <Told value={licences.slice(0, 3).join(", ")} />
      </td>
      <td data-label="Size" class="nowrap">
        <Told value={sizeWords(sizes)} />
      </td>
      <td data-label="Quantisation">
        <Told value={quantisations.slice(0, 3).join(", ")} />
      </td>
      <td data-label="Who has it">
        {people.slice(0, HOSTS_SHOWN_MAX).map((person, index) => (
          <>
            {index > 0 && ", "}
            <a href={`/employees/${encodeURIComponent(person)}`}>
              <bdi>{person}</bdi>
            </a>
          </>
        ))}
        {people.length > HOSTS_SHOWN_MAX && (
          <span class="muted"> and {String(people.length - HOSTS_SHOWN_MAX)} more</span>
        )}
      </td>
      <td data-label="In memory" class="number">
        <a href={href}>{loaded.toLocaleString("en")}</a>
      </td>
      <td data-label="At rest" class="number">
        <a href={href}>{atRest.toLocaleString("en")}</a>
      </td>
    </tr>
  );
};

const sizeWords = (sizes: readonly number[]): string => {
  const [least, most] = [sizes[0], sizes.at(-1)];
  if (least === undefined || most === undefined) return "";
  return gigabytes(least) === gigabytes(most) ? gigabytes(most) : `${gigabytes(least)} to ${gigabytes(most)}`;
};

const InventoryTable = (table: {
  what: string;
  parameter: string;
  part: Part<Counted>;
  total: number;
  view: View;
  hosts: ReadonlyMap<string, FleetRow[]>;
  kinds?: ReadonlyMap<string, string>;
}) =>
  table.total === 0 ? (
    <NoneOf what={table.what.toLowerCase()} view={table.view} />
  ) : (
    <>
      <p class="count">
        {plural(table.total, table.what.toLowerCase())}
        {table.part.isContinued && " · continued"}
      </p>
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
          {table.part.rows.map(({ key, name, hosts }) => (
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
      <PartPager
        part={table.part}
        path="/inventory"
        filter={table.view.filter}
        name={`after${table.what}`}
        anchor={`#inventory-${table.parameter}s`}
      />
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
