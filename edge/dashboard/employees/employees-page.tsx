import type { Admin } from "../../auth/permissions.ts";
import { plural } from "../components/badges.tsx";
import { CountNotices } from "../components/count-notices.tsx";
import { DownloadLinks } from "../components/download-links.tsx";
import { KeyboardShortcuts } from "../components/keyboard-shortcuts.tsx";
import { Empty, Layout } from "../components/layout.tsx";
import { Pager, pageAfter, TextFilter } from "../components/list-paging.tsx";
import type { DashboardDeps } from "../deps.ts";
import type { Fleet } from "../overview/fleet-cache.ts";
import { type Employee, type EmployeesQuery, employeesMatching, employeesOf } from "./employee-data.ts";

const ROWS_MAX = 200;

/** The page of all employees and their hosts. Employees with AI come first. */
export async function employeesPage(
  admin: Admin,
  query: EmployeesQuery,
  deps: DashboardDeps,
  fleetOf: (id: string) => Promise<Fleet>,
) {
  const fleet = await fleetOf(admin.tenantId);
  const now = deps.clock();
  const { q, after } = query;
  const employees = employeesMatching(employeesOf(fleet.rows), q);
  const page = pageAfter(employees, ({ id }) => id, after, ROWS_MAX);
  return (
    <Layout
      frame={{
        title: "Employees",
        admin,
        nav: "employees",
        nowMs: now,
        live: true,
        reloadSeconds: 60,
      }}
    >
      <div class="page-head">
        <h1>Employees</h1>
        <p class="muted">
          Employee names or ids as entered at enrolment. Employees with AI on a host come first.
        </p>
      </div>
      <CountNotices of={[fleet]} now={now} />
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
                {page.isContinued && " · continued"}
              </p>
              <DownloadLinks list="employees" filter={{ q }} />
            </div>
            <EmployeeTable employees={page.rows} />
          </>
        ) : q === undefined ? (
          <Empty title="No hosts are enrolled yet">Employees appear here when their first host enrols.</Empty>
        ) : (
          <Empty title="No employee matches">
            <a href="/employees">Show all employees</a>
          </Empty>
        )}
        <Pager page={page} path="/employees" filter={q === undefined ? [] : [["q", q]]} name="after" />
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
