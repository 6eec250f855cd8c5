import { z } from "zod";
import type { Admin } from "../../auth/permissions.ts";
import { gigabytes } from "../assets/engines.tsx";
import { Badge, plural } from "../components/badges.tsx";
import { CountNotices } from "../components/count-notices.tsx";
import { DownloadLinks } from "../components/download-links.tsx";
import { Empty, Layout } from "../components/layout.tsx";
import { Ago } from "../components/time.tsx";
import type { DashboardDeps } from "../deps.ts";
import { type HeldModel, modelsOf } from "./fleet-models.ts";
import type { FleetReads } from "./inventory-query.ts";
import { Reported } from "./inventory-tables.tsx";

const ROWS_MAX = 500;

export const modelQuery = z.object({ name: z.string().min(1).max(200) });

/** The page of one model: the hosts that have it, with the details of each copy. */
export async function modelPage(
  admin: Admin,
  { name }: z.infer<typeof modelQuery>,
  deps: DashboardDeps,
  { fleetOf, holdingsOf }: FleetReads,
) {
  const [fleet, holdings] = await Promise.all([fleetOf(admin.tenantId), holdingsOf(admin.tenantId)]);
  const model = modelsOf(fleet.rows, holdings.holdings).find((one) => one.name === name);
  const now = deps.clock();
  return (
    <Layout frame={{ title: name, admin, nav: "inventory", nowMs: now, live: true, reloadSeconds: 60 }}>
      <div class="page-head">
        <p class="crumbs">
          <a href="/inventory">AI inventory</a>
        </p>
        <h1>
          <bdi>{name}</bdi>
        </h1>
      </div>
      <CountNotices of={[fleet, holdings]} now={now} />
      <section id="model" class="card" data-live aria-label="Hosts with this model">
        {model ? (
          <>
            <div class="card-head">
              <p class="count">
                {`${plural(model.loaded, "host")} with this model in memory, ${plural(model.atRest, "host")} with the model only on disk.`}
              </p>
              <DownloadLinks list="models" filter={{ name }} />
            </div>
            <HeldTable held={model.held.slice(0, ROWS_MAX)} now={now} />
            {model.held.length > ROWS_MAX && (
              <p class="more">
                The download contains {plural(model.held.length - ROWS_MAX, "more", "more")}.
              </p>
            )}
          </>
        ) : (
          <Empty title="No host has this model">The last report of each host does not list it.</Empty>
        )}
      </section>
    </Layout>
  );
}

const HeldTable = ({ held, now }: { held: readonly HeldModel[]; now: number }) => (
  <table class="assets">
    <thead>
      <tr>
        {["Host", "State", "Licence", "Size", "Quantisation", "Last seen"].map((head) => (
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
          <td data-label="State">
            <span class="badges">
              <Badge tone={one.loaded ? "info" : "quiet"} icon={one.loaded ? "ok" : "absent"}>
                {one.loaded ? "In memory" : "On disk"}
              </Badge>
            </span>{" "}
            <span class="muted small">
              <bdi>{one.engine}</bdi>
            </span>
          </td>
          <td data-label="Licence">
            <Reported value={one.licence} />
          </td>
          <td data-label="Size" class="nowrap">
            <Reported value={one.sizeBytes === undefined ? undefined : gigabytes(one.sizeBytes)} />
          </td>
          <td data-label="Quantisation">
            <Reported value={one.quantisation} />
          </td>
          <td data-label="Last seen" class="nowrap">
            {one.row.presence && <Ago at={one.row.presence.lastSeenAt} now={now} />}
          </td>
        </tr>
      ))}
    </tbody>
  </table>
);
