import type { Admin } from "../../auth/permissions.ts";
import { listEmployeeAssets } from "../../control/assets/read-assets.ts";
import { AssetTable } from "../assets/asset-list-page.tsx";
import { DownloadLinks } from "../components/download-links.tsx";
import { Empty, Layout } from "../components/layout.tsx";
import type { DashboardDeps } from "../deps.ts";

const PAGE_SIZE = 50;

/**
 * The page with the hosts of one employee, read from the index GSI1. For an unknown employee, the page says
 * that there are no hosts. It does not return 404.
 */
export async function employeePage(
  admin: Admin,
  employeeId: string,
  cursor: string | undefined,
  deps: DashboardDeps,
) {
  const from = cursor === undefined ? {} : { from: cursor };
  const page = await listEmployeeAssets(deps, admin.tenantId, employeeId, { limit: PAGE_SIZE, ...from });
  const now = deps.clock();
  return (
    <Layout frame={{ title: employeeId, admin, nav: "employees", nowMs: now, live: true, reloadSeconds: 60 }}>
      <div class="page-head">
        <p class="crumbs">
          <a href="/employees">Employees</a>
        </p>
        <h1>
          <bdi>{employeeId}</bdi>
        </h1>
      </div>
      <section id="employee-assets" class="card" data-live aria-label="Hosts">
        {page.items.length === 0 ? (
          <Empty title="This employee has no enrolled hosts" />
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
