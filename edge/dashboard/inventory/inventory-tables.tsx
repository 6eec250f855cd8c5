import type { Counted } from "../../../shared/fleet/count.ts";
import type { FleetRow } from "../../../shared/fleet/read-fleet.ts";
import { INVENTORY_MODELS_MAX } from "../../../shared/table/items/asset/inventory.ts";
import { gigabytes, kindName } from "../assets/engines.tsx";
import { plural } from "../components/badges.tsx";
import { Empty } from "../components/layout.tsx";
import { type ListPage, Pager } from "../components/list-paging.tsx";
import type { Holdings } from "../overview/fleet-cache.ts";
import type { FleetModel } from "./fleet-models.ts";

const HOSTS_SHOWN_MAX = 3;

/** The query parameters of the page. `q`: its text filter. */
export type View = { filter: readonly [string, string][]; q: string | undefined };

const NoneOf = ({ what, view }: { what: string; view: View }) =>
  view.q !== undefined ? (
    <Empty title={`No ${what} matches`}>
      <a href="/inventory">Show the full inventory</a>
    </Empty>
  ) : (
    <Empty title={`No ${what} found`} />
  );

/**
 * Says how many models are not counted. An inventory item holds a limited number of models, and some hosts
 * have more.
 */
export const ModelsNotCounted = ({ holdings }: { holdings: Holdings["holdings"] }) => {
  const left = holdings.flatMap(({ modelsLeft }) => modelsLeft ?? []);
  if (left.length === 0) return null;
  const models = left.reduce((sum, one) => sum + one, 0);
  return (
    <p class="more">
      {`Up to ${INVENTORY_MODELS_MAX} models are counted on each host. ${plural(left.length, "host")} ${left.length === 1 ? "has" : "have"} ${plural(models, "more model", "more models")}. The page of each host lists all of its models.`}
    </p>
  );
};

/** A reported value, or "not reported". */
export const Reported = ({ value }: { value: string | undefined }) =>
  value ? <bdi>{value}</bdi> : <span class="muted">not reported</span>;

export const ModelTable = ({
  page,
  total,
  view,
}: {
  page: ListPage<FleetModel>;
  total: number;
  view: View;
}) =>
  total === 0 ? (
    <NoneOf what="model" view={view} />
  ) : (
    <>
      <p class="count">
        {plural(total, "model")}
        {page.isContinued && " · continued"}
      </p>
      <table class="assets inventory">
        <thead>
          <tr>
            <th scope="col">Model</th>
            <th scope="col">Licence</th>
            <th scope="col">Size</th>
            <th scope="col">Quantisation</th>
            <th scope="col">Employees</th>
            <th scope="col" class="number">
              In memory
            </th>
            <th scope="col" class="number">
              On disk
            </th>
          </tr>
        </thead>
        <tbody>
          {page.rows.map((model) => (
            <ModelRow model={model} />
          ))}
        </tbody>
      </table>
      <Pager
        page={page}
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
  const employees = [...new Set(held.map(({ row }) => row.employeeId))];
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
        <Reported value={licences.slice(0, 3).join(", ")} />
      </td>
      <td data-label="Size" class="nowrap">
        <Reported value={sizeWords(sizes)} />
      </td>
      <td data-label="Quantisation">
        <Reported value={quantisations.slice(0, 3).join(", ")} />
      </td>
      <td data-label="Employees">
        {employees.slice(0, HOSTS_SHOWN_MAX).map((employee, index) => (
          <>
            {index > 0 && ", "}
            <a href={`/employees/${encodeURIComponent(employee)}`}>
              <bdi>{employee}</bdi>
            </a>
          </>
        ))}
        {employees.length > HOSTS_SHOWN_MAX && (
          <span class="muted"> and {String(employees.length - HOSTS_SHOWN_MAX)} more</span>
        )}
      </td>
      <td data-label="In memory" class="number">
        <a href={href}>{loaded.toLocaleString("en")}</a>
      </td>
      <td data-label="On disk" class="number">
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

/** Engines or clients with their hosts. */
export const InventoryTable = (table: {
  what: string;
  parameter: string;
  page: ListPage<Counted>;
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
        {table.page.isContinued && " · continued"}
      </p>
      <table class="assets inventory">
        <thead>
          <tr>
            <th scope="col">{table.what}</th>
            <th scope="col">Found on</th>
            <th scope="col" class="number">
              Hosts
            </th>
          </tr>
        </thead>
        <tbody>
          {table.page.rows.map(({ key, name, hosts }) => (
            <tr data-key={key}>
              <th scope="row">
                <bdi>{name}</bdi>
                {table.kinds && <p class="muted small">{kindName(table.kinds.get(key) ?? "")}</p>}
              </th>
              <td data-label="Found on">
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
      <Pager
        page={table.page}
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
