import { timestamp } from "../../../shared/time/clock.ts";
import type { Admin } from "../../auth/permissions.ts";
import { REQUESTS_MAX, type Waiting } from "../approvals/pending-approvals.ts";
import { FleetTrend } from "../charts/fleet-trend.tsx";
import { plural } from "../components/badges.tsx";
import { Icon } from "../components/icon.tsx";
import { Empty, Layout } from "../components/layout.tsx";
import type { DashboardDeps } from "../deps.ts";
import { ContainmentInProgress } from "./containment-in-progress.tsx";
import { FleetCoverage } from "./fleet-coverage.tsx";
import { OverallStatus } from "./overall-status.tsx";
import { loadOverview, type NumbersOf, type Overview } from "./overview-data.ts";
import { RunningAi } from "./running-ai.tsx";
import { SignatureFaults } from "./signature-faults.tsx";
import { WorstIncidents } from "./worst-incidents.tsx";

/**
 * The first page after sign-in. It shows open incidents, where AI runs, which hosts report, and which hosts
 * are in containment.
 */
export async function overviewPage(admin: Admin, deps: DashboardDeps, numbersOf: NumbersOf) {
  const overview = await loadOverview(deps, admin.tenantId, numbersOf);
  const { counts, hours } = overview.fleet;
  const frame = {
    title: "Overview",
    admin,
    nav: "overview" as const,
    nowMs: overview.now,
    live: true,
    reloadSeconds: 30,
  };
  return (
    <Layout frame={frame}>
      <SignatureFaults security={overview.security} />
      <OverallStatus overview={overview} />
      <WaitingApprovals approvals={overview.approvals} />
      {counts.hosts + counts.expired === 0 ? (
        <NothingEnrolled />
      ) : (
        <>
          <WorstIncidents overview={overview} />
          <RunningAi overview={overview} />
          <FleetTrend hours={hours} now={newestPoint(overview)} />
          <div class="columns">
            <FleetCoverage fleet={overview.fleet} now={overview.now} />
            <ContainmentInProgress contained={overview.contained} now={overview.now} />
          </div>
        </>
      )}
    </Layout>
  );
}

/**
 * The newest point of the trend, from the numbers on this page. If the page did not read all incidents and
 * the worker's last count is higher, the worker's count is used.
 */
const newestPoint = ({ fleet: { counts, hours }, critical, warning, now }: Overview) => ({
  // The time is rounded to the minute, so that the page and its ETag do not change with every poll.
  at: timestamp(now - (now % 60_000)),
  hosts: counts.hosts,
  reporting: counts.reporting,
  withAi: counts.withAi,
  critical: Math.max(critical.items.length, (critical.cursor && hours.at(-1)?.critical) || 0),
  warning: Math.max(warning.items.length, (warning.cursor && hours.at(-1)?.warning) || 0),
});

/** Says how many isolation requests wait for a second person. */
const WaitingApprovals = ({ approvals: { waiting, complete } }: { approvals: Waiting }) => (
  <div id="waiting" data-live>
    {(waiting.length > 0 || !complete) && (
      <p class="strip warning">
        <Icon name="pending" />
        <span>
          <a href="/approvals">{plural(waiting.length, "isolation")}</a>{" "}
          {waiting.length === 1 ? "waits" : "wait"} for approval by a second person.
          {!complete &&
            ` Only the ${plural(REQUESTS_MAX, "newest request")} were read, so older ones may also be waiting.`}
        </span>
      </p>
    )}
  </div>
);

const NothingEnrolled = () => (
  <section class="card">
    <Empty title="No hosts are enrolled yet">
      As an administrator, <a href="/enrol">enrol the first host</a>. It appears here with its first
      heartbeat.
    </Empty>
  </section>
);
