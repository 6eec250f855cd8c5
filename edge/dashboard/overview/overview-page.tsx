import type { Ranked } from "../../../shared/table/items/fleet.ts";
import type { SecurityItem } from "../../../shared/table/items/security.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import type { Admin } from "../../auth/permissions.ts";
import type { AssetView } from "../../control/assets/asset-view.ts";
import { listActionRequired } from "../../control/assets/read-assets.ts";
import { type IncidentView, listIncidents } from "../../control/incidents/list-incidents.ts";
import type { Page } from "../../control/table-query.ts";
import type { Deps } from "../../deps.ts";
import { listWaiting, REQUESTS_MAX, type Waiting } from "../approvals/pending-approvals.ts";
import { ExpiredLeftOut } from "../assets/expired.tsx";
import { type AgeBucket, AgeTable, BarTable, PartsBar } from "../charts/chart.tsx";
import { FleetTrend } from "../charts/fleet-trend.tsx";
import { ContainmentBadge, plural } from "../components/badges.tsx";
import { Icon, type IconName } from "../components/icon.tsx";
import { Empty, Layout } from "../components/layout.tsx";
import { Incomplete } from "../components/partial-count-notice.tsx";
import { AGE_TOLD_MS, Age, Ago } from "../components/time.tsx";
import { AGES, isOfAge } from "../incidents/incident-search.ts";
import { IncidentList } from "../incidents/incident-table.tsx";
import type { FleetNumbers } from "./fleet-cache.ts";
import { readSecurity, SignatureFaults } from "./signature-faults.tsx";

/** Beyond this many the overview says "more than". */
const COUNTED_MAX = 200;
const WORST_MAX = 5;
const BARS_MAX = 8;
const CONTAINED_MAX = 50;

type Overview = {
  critical: Page<IncidentView>;
  warning: Page<IncidentView>;
  contained: Contained;
  /** Isolations that wait for a second person. */
  approvals: Waiting;
  fleet: FleetNumbers;
  security: SecurityItem | undefined;
  now: number;
};

/** `complete`: false where more hosts are in containment than are read here. */
type Contained = { assets: AssetView[]; complete: boolean };

type NumbersOf = (tenantId: string) => Promise<FleetNumbers>;

async function loadOverview(deps: Deps, tenantId: string, numbersOf: NumbersOf): Promise<Overview> {
  const [critical, warning, actions, approvals, fleet, security] = await Promise.all([
    listIncidents(deps, tenantId, { risk: "CRITICAL", limit: COUNTED_MAX, lifecycle: "active" }),
    listIncidents(deps, tenantId, { risk: "WARNING", limit: COUNTED_MAX, lifecycle: "active" }),
    listActionRequired(deps, tenantId, { limit: CONTAINED_MAX }),
    listWaiting(deps, tenantId),
    numbersOf(tenantId),
    readSecurity(deps, tenantId),
  ]);
  const now = deps.clock();
  const assets = actions.items.filter((asset) => asset.containment.state !== "active");
  const contained = { assets, complete: actions.cursor === undefined };
  return { critical, warning, contained, approvals, fleet, security, now };
}

/** Is anything on fire, where is AI running, do we see every host, what is being contained: in this order. */
export async function overviewPage(admin: Admin, deps: Deps, numbersOf: NumbersOf) {
  const overview = await loadOverview(deps, admin.tenantId, numbersOf);
  const frame = {
    title: "Overview",
    admin,
    place: "overview" as const,
    nowMs: overview.now,
    live: true,
    reloadSeconds: 30,
  };
  return (
    <Layout frame={frame}>
      <SignatureFaults security={overview.security} />
      <Verdict overview={overview} />
      <WaitingStrip approvals={overview.approvals} />
      {overview.fleet.counts.hosts + overview.fleet.counts.expired === 0 ? (
        <NothingEnrolled />
      ) : (
        <>
          <Worst overview={overview} />
          <Running overview={overview} />
          <FleetTrend hours={overview.fleet.hours} now={newestPoint(overview)} />
          <div class="columns">
            <FleetCoverage fleet={overview.fleet} now={overview.now} />
            <InContainment contained={overview.contained} now={overview.now} />
          </div>
        </>
      )}
    </Layout>
  );
}

/** The page's own numbers as the newest point of the trend; of more incidents than it reads, what the worker counted. */
const newestPoint = ({ fleet: { counts, hours }, critical, warning, now }: Overview) => ({
  // To the minute: a page whose facts have not changed stays the same page.
  at: timestamp(now - (now % 60_000)),
  hosts: counts.hosts,
  reporting: counts.reporting,
  withAi: counts.withAi,
  critical: Math.max(critical.items.length, (critical.cursor && hours.at(-1)?.critical) || 0),
  warning: Math.max(warning.items.length, (warning.cursor && hours.at(-1)?.warning) || 0),
});

/** Somebody asked for an isolation and waits for another person: that is on fire too. */
const WaitingStrip = ({ approvals: { waiting, complete } }: { approvals: Waiting }) => (
  <div id="waiting" data-live>
    {(waiting.length > 0 || !complete) && (
      <p class="strip warning">
        <Icon name="pending" />
        <span>
          <a href="/approvals">{plural(waiting.length, "isolation")}</a>{" "}
          {waiting.length === 1 ? "waits" : "wait"} for a second person.
          {!complete &&
            ` Only the ${plural(REQUESTS_MAX, "newest request")} were read: older ones may wait too.`}
        </span>
      </p>
    )}
  </div>
);

const counted = (page: Page<unknown>): string =>
  `${page.items.length}${page.cursor === undefined ? "" : "+"}`;

const Verdict = ({ overview }: { overview: Overview }) => {
  const { critical, warning, fleet, contained } = overview;
  const { tone, icon, sentence } = verdictOf(overview);
  return (
    <section id="verdict" class={`verdict ${tone}`} data-live aria-labelledby="verdict-title">
      <div class="verdict-say">
        <p class="eyebrow">Is anything on fire?</p>
        <h1 id="verdict-title">
          <Icon name={icon} />
          {sentence}
        </h1>
        <Besides overview={overview} />
      </div>
      <ul class="tiles">
        <Tile
          href="/incidents?risk=CRITICAL"
          icon="critical"
          tone="critical"
          count={counted(critical)}
          name="Critical"
        />
        <Tile
          href="/incidents?risk=WARNING"
          icon="warning"
          tone="warning"
          count={counted(warning)}
          name="Warning"
        />
        <Tile
          href="/assets?state=silent"
          icon="silent"
          tone="quiet"
          count={fleet.counts.silent.toLocaleString("en")}
          name={fleet.counts.silent === 1 ? "Silent host" : "Silent hosts"}
        />
        <Tile
          href="/#contained"
          icon="isolated"
          tone="info"
          count={`${contained.assets.length}${contained.complete ? "" : "+"}`}
          name="In containment"
        />
      </ul>
    </section>
  );
};

const Tile = (tile: { href: string; icon: IconName; tone: string; count: string; name: string }) => (
  <li data-key={tile.name}>
    <a class={tile.count === "0" ? "tile none" : `tile ${tile.tone}`} href={tile.href}>
      <span class="tile-count">{tile.count}</span>
      <span class="tile-name">
        <Icon name={tile.icon} />
        {tile.name}
      </span>
    </a>
  </li>
);

function verdictOf({ critical, warning, fleet: { counts } }: Overview): {
  tone: string;
  icon: IconName;
  sentence: string;
} {
  const [worst, lesser] = [critical.items.length, warning.items.length];
  const more = (page: Page<unknown>) => (page.cursor === undefined ? "" : "More than ");
  if (worst > 0) {
    const sentence = `${more(critical)}${plural(worst, "critical incident")} ${worst === 1 ? "is" : "are"} open`;
    return { tone: "critical", icon: "critical", sentence };
  }
  if (lesser > 0) {
    const sentence = `Nothing critical. ${more(warning)}${plural(lesser, "warning")} ${lesser === 1 ? "is" : "are"} open`;
    return { tone: "warning", icon: "warning", sentence };
  }
  if ((critical.cursor ?? warning.cursor) !== undefined) {
    return { tone: "warning", icon: "warning", sentence: "Unknown: not every open incident was read" };
  }
  if (counts.hosts === 0 && counts.expired > 0) {
    return { tone: "warning", icon: "silent", sentence: "Unknown: every enrolled host has expired" };
  }
  if (counts.hosts === 0) return { tone: "quiet", icon: "info", sentence: "No host is enrolled yet" };
  if (counts.reporting === 0) {
    return { tone: "warning", icon: "silent", sentence: "Unknown: no host is reporting" };
  }
  return { tone: "ok", icon: "ok", sentence: "No incident is open" };
}

/** The second sentence: never calm about what was not looked at. Every number in it leads to its list. */
const Besides = ({ overview: { critical, warning, fleet } }: { overview: Overview }) => {
  const { hosts, reporting, silent, never, withFailedSources } = fleet.counts;
  const unseen = silent + never;
  const afire = new Set(critical.items.map((incident) => incident.assetId)).size;
  const more = critical.cursor === undefined ? "" : "at least ";
  const lesser = `${counted(warning)} ${counted(warning) === "1" ? "warning" : "warnings"}`;
  return (
    <p>
      {afire > 0 && (
        <>
          On {more}
          <a href="/incidents?risk=CRITICAL">{plural(afire, "host")}</a>, with{" "}
          <a href="/incidents?risk=WARNING">{lesser}</a> besides.{" "}
        </>
      )}
      {hosts > 0 && (
        <>
          <a href="/assets?state=reporting">{reporting.toLocaleString("en")}</a> of{" "}
          <a href="/assets">{plural(hosts, "host")}</a> {reporting === 1 ? "reports" : "report"}.{" "}
        </>
      )}
      {unseen > 0 && (
        <>
          What runs on the other <a href="/assets?state=unseen">{unseen.toLocaleString("en")}</a> now is not
          known.{" "}
        </>
      )}
      {withFailedSources > 0 && (
        <>
          <a href="/assets?state=collectors">{plural(withFailedSources, "host")}</a> could not read all of{" "}
          {withFailedSources === 1 ? "its" : "their"} sources.
        </>
      )}
    </p>
  );
};

const NothingEnrolled = () => (
  <section class="card">
    <Empty title="No agent has enrolled">
      An administrator <a href="/enrol">enrols the first host</a>. Its first heartbeat appears here by itself.
    </Empty>
  </section>
);

const Worst = ({ overview }: { overview: Overview }) => {
  const { critical, warning, now } = overview;
  const byPoints = (page: Page<IncidentView>) => [...page.items].sort((a, b) => b.points - a.points);
  const worst = [...byPoints(critical), ...byPoints(warning)].slice(0, WORST_MAX);
  const total = critical.items.length + warning.items.length;
  const isAll = (critical.cursor ?? warning.cursor) === undefined;
  return (
    <section id="worst" class="card" data-live aria-labelledby="worst-title">
      <div class="card-head">
        <h2 id="worst-title">Worst open incidents</h2>
        {total > 0 && (
          <a href="/incidents">All {isAll && total > WORST_MAX ? `${total} ` : ""}open incidents</a>
        )}
      </div>
      {worst.length > 0 ? (
        <>
          <IncidentList incidents={worst} now={now} />
          <AgeTable
            title={
              (critical.cursor ?? warning.cursor)
                ? `Age of open incidents, the newest ${COUNTED_MAX} of each risk`
                : "Age of open incidents"
            }
            buckets={ages(critical.items, warning.items, now)}
          />
        </>
      ) : (
        <Empty title="No open incidents" icon="ok">
          Nothing that agents reported breaks a rule of your policy.
        </Empty>
      )}
    </section>
  );
};

/** How long the open incidents have been open: what stays red for days is another problem than what is new. */
const ages = (critical: IncidentView[], warning: IncidentView[], now: number): AgeBucket[] =>
  AGES.map(({ age, name }) => ({
    name,
    critical: critical.filter((incident) => isOfAge(incident, age, now)).length,
    warning: warning.filter((incident) => isOfAge(incident, age, now)).length,
    hrefOf: (risk) => `/incidents?${new URLSearchParams({ risk: risk.toUpperCase(), age })}`,
  }));

const Running = ({ overview }: { overview: Overview }) => {
  const { atMs, complete } = overview.fleet;
  const { engines, models, clients, kinds, withAi, hosts } = overview.fleet.counts;
  return (
    <section id="running" class="card" data-live aria-labelledby="running-title">
      <div class="card-head">
        <h2 id="running-title">Where AI is running</h2>
        <a href="/inventory">The whole inventory</a>
      </div>
      <p class="lead">
        AI was found on <a href="/assets?state=ai">{plural(withAi, "host")}</a> of{" "}
        <a href="/assets">{hosts.toLocaleString("en")}</a>:{" "}
        <a href="/inventory#inventory-engines">{plural(engines.total, "engine")}</a> of{" "}
        {plural(kinds, "kind")}, <a href="/inventory#inventory-models">{plural(models.total, "model")}</a> in
        memory, fed by <a href="/inventory#inventory-clients">{plural(clients.total, "local program")}</a>.
      </p>
      {overview.now - atMs > AGE_TOLD_MS && (
        <p class="muted small">
          Counted <Ago at={timestamp(atMs)} now={overview.now} />.
        </p>
      )}
      {!complete && <Incomplete />}
      {engines.total === 0 ? (
        <Empty title="No engine found">No agent that reports has found one.</Empty>
      ) : (
        <div class="columns thirds">
          <Chart title="Engines" parameter="engine" ranked={engines} />
          <Chart title="Models in memory" parameter="model" ranked={models} />
          <Chart title="Clients that feed them" parameter="client" ranked={clients} />
        </div>
      )}
    </section>
  );
};

const Chart = ({ title, parameter, ranked }: { title: string; parameter: string; ranked: Ranked }) => {
  const bars = ranked.first.slice(0, BARS_MAX).map(({ key, name, hosts }) => ({
    name,
    count: hosts,
    href: `/assets?${new URLSearchParams({ [parameter]: key })}`,
  }));
  return (
    <div>
      <h3>
        {title} <span class="muted">by hosts</span>
      </h3>
      {bars.length > 0 ? (
        <BarTable title={[title, "Hosts"]} bars={bars} of={Math.max(...bars.map(({ count }) => count))} />
      ) : (
        <p class="muted">None was named.</p>
      )}
      {ranked.total > bars.length && (
        <p class="more">
          <a href={`/inventory#inventory-${parameter}s`}>
            {plural(ranked.total - bars.length, "more", "more")}
          </a>
        </p>
      )}
    </div>
  );
};

const FleetCoverage = ({ fleet, now }: { fleet: FleetNumbers; now: number }) => {
  const { counts, complete, atMs } = fleet;
  return (
    <section id="coverage" class="card" data-live aria-labelledby="coverage-title">
      <div class="card-head">
        <h2 id="coverage-title">Fleet coverage</h2>
        <a href="/assets">All {plural(counts.hosts, "asset")}</a>
      </div>
      <PartsBar
        id="coverage-bar"
        parts={[
          { name: "Reporting", count: counts.reporting, look: "reporting", href: "/assets?state=reporting" },
          { name: "Silent", count: counts.silent, look: "silent", href: "/assets?state=silent" },
          { name: "Never seen", count: counts.never, look: "never", href: "/assets?state=never" },
        ]}
      />
      {now - atMs > AGE_TOLD_MS && (
        <p class="muted small">
          The fleet was counted <Ago at={timestamp(atMs)} now={now} />; a newer count is on its way.
        </p>
      )}
      {!complete && <Incomplete />}
      <ExpiredLeftOut count={counts.expired} />
      {counts.withFailedSources > 0 ? (
        <div class="strip warning">
          <p>
            <Icon name="warning" />
            <a href="/assets?state=collectors">
              {plural(counts.withFailedSources, "host")} with sources that could not be read
            </a>
            . A quiet source is not a clean source.
          </p>
        </div>
      ) : (
        <p class="muted">
          No source failed on a host that reports. One that was read only in part says so on the host's page.
        </p>
      )}
    </section>
  );
};

const InContainment = ({ contained: { assets, complete }, now }: { contained: Contained; now: number }) => (
  <section id="contained" class="card" data-live aria-labelledby="contained-title">
    <div class="card-head">
      <h2 id="contained-title">Containment in progress</h2>
    </div>
    {assets.length === 0 && complete ? (
      <Empty title="No host is in containment">Isolate one from its page.</Empty>
    ) : (
      <ul class="rows">
        {assets.map((asset) => (
          <li data-key={asset.assetId}>
            <div>
              <a href={`/assets/${asset.assetId}`}>
                <bdi>{asset.hostname}</bdi>
              </a>
              <p class="muted small">
                <bdi>{asset.employeeId}</bdi> · mode {asset.containment.mode ?? "observe"}
              </p>
            </div>
            <div class="end">
              <ContainmentBadge state={asset.containment.state} />
              <p class="muted small">
                {asset.containment.requestedAt && (
                  <>
                    requested <Ago at={asset.containment.requestedAt} now={now} />
                  </>
                )}
                {asset.containment.offline && asset.presence && (
                  <>
                    {" "}
                    · silent for <Age since={asset.presence.lastSeenAt} now={now} />
                  </>
                )}
                {asset.containment.offline && !asset.presence && " · never seen"}
              </p>
            </div>
          </li>
        ))}
      </ul>
    )}
    {!complete && (
      <p class="more">
        Only the {String(CONTAINED_MAX)} newest changes were looked at.{" "}
        <a href="/assets?state=isolated">Every host whose isolation is wanted</a>
      </p>
    )}
  </section>
);
