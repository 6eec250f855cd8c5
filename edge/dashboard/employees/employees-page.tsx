import { z } from "zod";
import type { FleetRow } from "../../../shared/fleet/read-fleet.ts";
import type { Admin } from "../../auth/permissions.ts";
import { listEmployeeAssets } from "../../control/assets/read-assets.ts";
import type { Deps } from "../../deps.ts";
import { AssetTable } from "../assets/asset-list-page.tsx";
import { plural } from "../components/badges.tsx";
import { DownloadLinks } from "../components/download-links.tsx";
import { KeyboardShortcuts } from "../components/keyboard-shortcuts.tsx";
import { Empty, Layout } from "../components/layout.tsx";
import { Counted as CountedLine } from "../components/partial-count-notice.tsx";
import { holdsWords, PartPager, partAfter, TextFilter } from "../components/table-section.tsx";
import type { Fleet } from "../overview/fleet-cache.ts";

const ROWS_MAX = 200;
const PAGE_SIZE = 50;

export type Employee = {
  id: string;
  hosts: number;
  withAi: number;
  engines: Set<string>;
  models: Set<string>;
};

export function employeesOf(rows: readonly FleetRow[]): Employee[] {
  const found = new Map<string, Employee>();
  for (const { employeeId: id, presence } of rows) {
    const employee = found.get(id) ?? { id, hosts: 0, withAi: 0, engines: new Set(), models: new Set() };
    employee.hosts++;
    if ((presence?.engines.length ?? 0) > 0) employee.withAi++;
    for (const engine of presence?.engines ?? []) employee.engines.add(engine.name);
    for (const model of presence?.models ?? []) employee.models.add(model);
    found.set(id, employee);
  }
  return [...found.values()].sort(
    (a, b) => b.withAi - a.withAi || b.engines.size - a.engines.size || (a.id < b.id ? -1 : 1),
  );
}

const blank = z.literal("").transform(() => undefined);
export const employeesQuery = z.object({
  q: blank.or(z.string().max(200)).optional(),
  /** The last one already shown. */
  after: z.string().max(128).optional(),
});
export type EmployeesQuery = z.infer<typeof employeesQuery>;

/** Those of whom the text names the person, or what runs on their hosts. */
export function employeesNamed(employees: readonly Employee[], q: string | undefined): Employee[] {
  const holds = holdsWords(q);
  return employees.filter(({ id, engines, models }) => holds([id, ...engines, ...models]));
}

/** Who works on which hosts, those with AI first. */
export async function employeesPage(
  admin: Admin,
  query: EmployeesQuery,
  deps: Deps,
  fleetOf: (id: string) => Promise<Fleet>,
) {
  const fleet = await fleetOf(admin.tenantId);
  const now = deps.clock();
  const { q, after } = query;
  const employees = employeesNamed(employeesOf(fleet.rows), q);
  const part = partAfter(employees, ({ id }) => id, after, ROWS_MAX);
  return (
    <Layout
      frame={{
        title: "Employees",
        admin,
        place: "employees",
        nowMs: now,
        live: true,
        reloadSeconds: 60,
      }}
    >
      <div class="page-head">
        <h1>Employees</h1>
        <p class="muted">As named when their hosts enrolled, those with AI on a host first.</p>
      </div>
      <CountedLine of={[fleet]} now={now} />
      {fleet.rows.length > 0 && (
        <>
          <TextFilter path="/employees" label="Employee, engine or model" q={q} />
          <div class="list-tools">
            <KeyboardShortcuts />
          </div>
        </>
      )}
      <section id="employees" class="card" data-live aria-label="Employees">
        {employees.length > 0 ? (
          <>
            <div class="card-head">
              <p class="count">
                {plural(employees.length, "employee")}
                {part.isContinued && " · continued"}
              </p>
              <DownloadLinks list="employees" filter={{ q }} />
            </div>
            <EmployeeTable employees={part.rows} />
          </>
        ) : q === undefined ? (
          <Empty title="No agent has enrolled">Employees appear with their first host.</Empty>
        ) : (
          <Empty title="No employee matches">
            <a href="/employees">Show all employees</a>
          </Empty>
        )}
        <PartPager part={part} path="/employees" filter={q === undefined ? [] : [["q", q]]} name="after" />
      </section>
    </Layout>
  );
}

const hostsOf = (employee: string, state?: "ai"): string =>
  `/assets?${new URLSearchParams({ employee, ...(state && { state }) })}`;

const EmployeeTable = ({ employees }: { employees: readonly Employee[] }) => (
  <table class="assets">
    <thead>
      <tr>
        <th scope="col">Employee</th>
        <th scope="col">Hosts</th>
        <th scope="col">With AI</th>
        <th scope="col">Engines and models</th>
      </tr>
    </thead>
    <tbody>
      {employees.map((employee) => (
        <tr data-key={employee.id}>
          <th scope="row">
            <a href={`/employees/${encodeURIComponent(employee.id)}`}>
              <bdi>{employee.id}</bdi>
            </a>
          </th>
          <td data-label="Hosts">
            <a href={hostsOf(employee.id)}>{String(employee.hosts)}</a>
          </td>
          <td data-label="With AI">
            <a href={hostsOf(employee.id, "ai")}>{String(employee.withAi)}</a>
          </td>
          <td data-label="Engines and models">
            {employee.engines.size === 0 ? (
              <span class="muted">none found</span>
            ) : (
              <>
                <bdi>{[...employee.engines].slice(0, 4).join(", ")}</bdi>
                <span class="muted"> · {plural(employee.models.size, "model")}</span>
              </>
            )}
          </td>
        </tr>
      ))}
    </tbody>
  </table>
);

/** The hosts of one employee, from GSI1. An employee nobody knows has none: the page says that, not 404. */
export async function employeePage(admin: Admin, employeeId: string, cursor: string | undefined, deps: Deps) {
  const from = cursor === undefined ? {} : { from: cursor };
  const page = await listEmployeeAssets(deps, admin.tenantId, employeeId, { limit: PAGE_SIZE, ...from });
  const now = deps.clock();
  return (
    <Layout
      frame={{ title: employeeId, admin, place: "employees", nowMs: now, live: true, reloadSeconds: 60 }}
    >
      <div class="page-head">
        <p class="crumbs">
          <a href="/employees">Employees</a>
        </p>
        <h1>
          <bdi>{employeeId}</bdi>
        </h1>
      </div>
      <section id="employee-assets" class="card" data-live aria-label="Assets">
        {page.items.length === 0 ? (
          <Empty title="No host of this employee is enrolled" />
        ) : (
          <>
            <DownloadLinks list="assets" filter={{ employee: employeeId }} />
            <AssetTable assets={page.items} now={now} />
          </>
        )}
        {page.cursor !== undefined && (
          <p class="pager">
            <a
              rel="next"
              href={`/employees/${encodeURIComponent(employeeId)}?${new URLSearchParams({ cursor: page.cursor })}`}
            >
              Next {String(PAGE_SIZE)}
            </a>
          </p>
        )}
      </section>
    </Layout>
  );
}
