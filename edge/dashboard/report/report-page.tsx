import type { Admin } from "../../auth/permissions.ts";
import { Layout } from "../components/layout.tsx";
import { Moment } from "../components/time.tsx";
import type { DashboardDeps } from "../deps.ts";
import { CoverageSection } from "./coverage-section.tsx";
import { CustodySection } from "./custody-section.tsx";
import { DecisionsSection } from "./decisions-section.tsx";
import type { Period } from "./detections-in-period.ts";
import { DetectionsSection } from "./detections-section.tsx";
import { DutiesSection } from "./duties-section.tsx";
import { IncidentsSection } from "./incidents-section.tsx";
import { gatherEvidence } from "./report-data.ts";

/**
 * The evidence report of a period, designed for printing. It shows detected AI, incidents, decisions, and
 * gaps in coverage.
 */
export async function reportPage(admin: Admin, period: Period, deps: DashboardDeps) {
  const evidence = await gatherEvidence(deps, admin.tenantId, period);
  return (
    <Layout frame={{ title: "Evidence report", admin, nav: "report", nowMs: deps.clock() }}>
      <div class="page-head">
        <h1>Evidence report</h1>
        <p class="lead">
          <bdi>{evidence.organisation}</bdi>
          {`, from ${period.from} to ${period.to}, both days included, in UTC`}
        </p>
        <p class="muted">
          Created <Moment at={evidence.madeAt} /> for <bdi>{admin.userId}</bdi> of organisation{" "}
          <bdi class="mono">{admin.tenantId}</bdi>. This report combines what agents reported and what users
          did. Use it as evidence for your own assessment. It does not say that any law or standard is met.
        </p>
      </div>
      <PeriodForm period={period} />
      <DetectionsSection evidence={evidence} />
      <IncidentsSection incidents={evidence.incidents} period={period} />
      <DecisionsSection done={evidence.done} period={period} />
      <CustodySection custody={evidence.custody} />
      <CoverageSection coverage={evidence.coverage} period={period} />
      <DutiesSection evidence={evidence} />
    </Layout>
  );
}

const PeriodForm = ({ period }: { period: Period }) => (
  <search>
    <form class="filter" method="get" action="/report">
      <div class="field">
        <label for="from">First day</label>
        <input id="from" name="from" type="date" value={period.from} required />
      </div>
      <div class="field">
        <label for="to">Last day</label>
        <input id="to" name="to" type="date" value={period.to} required />
      </div>
      <button type="submit">Show</button>
      <p class="downloads">
        <a href={`/report.json?${new URLSearchParams(period)}`} download>
          Download the report as JSON
        </a>{" "}
        Below each list is a link to its CSV. To get a PDF, print this page.
      </p>
    </form>
  </search>
);
