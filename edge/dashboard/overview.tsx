import type { Admin } from "../admin/authenticate.ts";
import {
  type AssetView,
  type IncidentView,
  listActionRequired,
  listIncidents,
  type Page,
} from "../admin/read.ts";
import type { Deps } from "../deps.ts";
import { ContainmentBadge, plural } from "./badges.tsx";
import { type AgeBucket, AgeTable, BarTable, PartsBar } from "./chart.tsx";
import { type Coverage, coverageOf, type Fleet, inventoryOf } from "./fleet.ts";
import { Icon, type IconName } from "./icon.tsx";
import { IncidentList } from "./incident-list.tsx";
import { Empty, Layout } from "./layout.tsx";
import { Age, Ago } from "./time.tsx";

/** Beyond this many the overview says "more than". */
const COUNTED_MAX = 200;
const WORST_MAX = 5;
const BARS_MAX = 8;
const CONTAINED_MAX = 50;

type Overview = {
  critical: Page<IncidentView>;
  warning: Page<IncidentView>;
  contained: AssetView[];
  fleet: Fleet;
  coverage: Coverage;
  now: number;
};

async function loadOverview(
  deps: Deps,
  tenantId: string,
  fleetOf: (id: string) => Promise<Fleet>,
): Promise<Overview> {
  const [critical, warning, actions, fleet] = await Promise.all([
    listIncidents(deps, tenantId, { risk: "CRITICAL", limit: COUNTED_MAX }),
    listIncidents(deps, tenantId, { risk: "WARNING", limit: COUNTED_MAX }),
    listActionRequired(deps, tenantId, { limit: CONTAINED_MAX }),
    fleetOf(tenantId),
  ]);
  const now = deps.clock();
  const contained = actions.items.filter((asset) => asset.containment.state !== "active");
  return { critical, warning, contained, fleet, coverage: coverageOf(fleet.rows, now), now };
}

/** Is anything on fire, where is AI running, do we see every host, what is being contained: in this order. */
export async function overviewPage(admin: Admin, deps: Deps, fleetOf: (id: string) => Promise<Fleet>) {
  const overview = await loadOverview(deps, admin.tenantId, fleetOf);
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
      <Verdict overview={overview} />
      {overview.coverage.total === 0 ? (
        <NothingEnrolled />
      ) : (
        <>
          <Worst overview={overview} />
          <Running overview={overview} />
          <div class="columns">
            <FleetCoverage coverage={overview.coverage} complete={overview.fleet.complete} />
            <Contained assets={overview.contained} now={overview.now} />
          </div>
        </>
      )}
    </Layout>
  );
}

const counted = (page: Page<unknown>): string =>
  `${page.items.length}${page.cursor === undefined ? "" : "+"}`;

const Verdict = ({ overview }: { overview: Overview }) => {
  const { critical, warning, coverage, contained } = overview;
  const { tone, icon, sentence } = verdictOf(overview);
  return (
    <section id="verdict" class={`verdict ${tone}`} data-live aria-labelledby="verdict-title">
      <div class="verdict-say">
        <p class="eyebrow">Is anything on fire?</p>
        <h1 id="verdict-title">
          <Icon name={icon} />
          {sentence}
        </h1>
        <p>{besides(overview)}</p>
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
          count={String(coverage.silent)}
          name="Silent hosts"
        />
        <Tile
          href="/#contained"
          icon="isolated"
          tone="info"
          count={String(contained.length)}
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

function verdictOf({ critical, warning, coverage }: Overview): {
  tone: string;
  icon: IconName;
  sentence: string;
} {
  const [worst, lesser] = [critical.items.length, warning.items.length];
  const more = critical.cursor === undefined ? "" : "More than ";
  if (worst > 0) {
    const sentence = `${more}${plural(worst, "critical incident")} ${worst === 1 ? "is" : "are"} open`;
    return { tone: "critical", icon: "critical", sentence };
  }
  if (lesser > 0) {
    const sentence = `Nothing critical. ${plural(lesser, "warning")} ${lesser === 1 ? "is" : "are"} open`;
    return { tone: "warning", icon: "warning", sentence };
  }
  if (coverage.total === 0) return { tone: "quiet", icon: "info", sentence: "No host is enrolled yet" };
  if (coverage.reporting === 0) {
    return { tone: "warning", icon: "silent", sentence: "Unknown: no host is reporting" };
  }
  return { tone: "ok", icon: "ok", sentence: "No incident is open" };
}

/** The second sentence: never calm about what was not looked at. */
function besides({ critical, warning, coverage }: Overview): string {
  const said: string[] = [];
  if (critical.items.length > 0) {
    const hosts = new Set(critical.items.map((incident) => incident.assetId)).size;
    said.push(`On ${plural(hosts, "host")}, with ${plural(warning.items.length, "warning")} besides.`);
  }
  if (coverage.total > 0) {
    said.push(`${coverage.reporting.toLocaleString("en")} of ${plural(coverage.total, "host")} report.`);
  }
  const unseen = coverage.silent + coverage.never;
  if (unseen > 0) said.push(`What runs on the other ${unseen.toLocaleString("en")} now is not known.`);
  if (coverage.collectors.length > 0) {
    said.push(`${plural(coverage.collectors.length, "host")} could not read all of its sources.`);
  }
  return said.join(" ");
}

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
  return (
    <section id="worst" class="card" data-live aria-labelledby="worst-title">
      <div class="card-head">
        <h2 id="worst-title">Worst open incidents</h2>
        {total > 0 && <a href="/incidents">All {total > WORST_MAX ? `${total} ` : ""}open incidents</a>}
      </div>
      {worst.length > 0 ? (
        <>
          <IncidentList incidents={worst} now={now} />
          <AgeTable title="Age of open incidents" buckets={ages(critical.items, warning.items, now)} />
        </>
      ) : (
        <Empty title="No open incidents" icon="ok">
          Nothing that agents reported breaks a rule of your policy.
        </Empty>
      )}
    </section>
  );
};

const [HOUR_MS, DAY_MS] = [3_600_000, 86_400_000];
const AGES = [
  { name: "Last hour", untilMs: HOUR_MS },
  { name: "Last day", untilMs: DAY_MS },
  { name: "Last week", untilMs: 7 * DAY_MS },
  { name: "Older", untilMs: Number.POSITIVE_INFINITY },
];

/** How long the open incidents have been open: what stays red for days is another problem than what is new. */
function ages(critical: IncidentView[], warning: IncidentView[], now: number): AgeBucket[] {
  const bucketOf = ({ openedAt }: IncidentView) =>
    AGES.findIndex(({ untilMs }) => now - Date.parse(openedAt) < untilMs);
  return AGES.map(({ name }, index) => ({
    name,
    critical: critical.filter((incident) => bucketOf(incident) === index).length,
    warning: warning.filter((incident) => bucketOf(incident) === index).length,
  }));
}

const Running = ({ overview }: { overview: Overview }) => {
  const { fleet, coverage } = overview;
  const { engines, models, kinds } = inventoryOf(fleet.rows);
  const bars = (counted: typeof engines, parameter: string) =>
    counted.slice(0, BARS_MAX).map(({ key, name, hosts }) => ({
      name,
      count: hosts,
      href: `/assets?${new URLSearchParams({ [parameter]: key })}`,
    }));
  return (
    <section id="running" class="card" data-live aria-labelledby="running-title">
      <div class="card-head">
        <h2 id="running-title">Where AI is running</h2>
        <a href="/inventory">The whole inventory</a>
      </div>
      <p class="lead">
        AI was found on <a href="/assets?state=ai">{plural(coverage.withAi, "host")}</a> of{" "}
        {coverage.total.toLocaleString("en")}: {plural(engines.length, "engine")} of{" "}
        {plural(kinds.length, "kind")}, {plural(models.length, "model")}.
      </p>
      {engines.length === 0 ? (
        <Empty title="No engine found">No agent that reports has found one.</Empty>
      ) : (
        <div class="columns">
          <Chart
            title="Engines"
            counted={engines.length}
            bars={bars(engines, "engine")}
            of={coverage.total}
          />
          <Chart title="Models" counted={models.length} bars={bars(models, "model")} of={coverage.total} />
        </div>
      )}
    </section>
  );
};

const Chart = (chart: {
  title: string;
  counted: number;
  bars: { name: string; count: number; href: string }[];
  of: number;
}) => (
  <div>
    <h3>
      {chart.title} <span class="muted">by hosts</span>
    </h3>
    {chart.bars.length > 0 ? (
      <BarTable
        title={[chart.title, "Hosts"]}
        bars={chart.bars}
        of={Math.max(...chart.bars.map(({ count }) => count))}
      />
    ) : (
      <p class="muted">None was named.</p>
    )}
    {chart.counted > chart.bars.length && (
      <p class="more">
        <a href="/inventory">{plural(chart.counted - chart.bars.length, "more")}</a>
      </p>
    )}
  </div>
);

const FleetCoverage = ({ coverage, complete }: { coverage: Coverage; complete: boolean }) => (
  <section id="coverage" class="card" data-live aria-labelledby="coverage-title">
    <div class="card-head">
      <h2 id="coverage-title">Fleet coverage</h2>
      <a href="/assets">All {plural(coverage.total, "asset")}</a>
    </div>
    <PartsBar
      id="coverage-bar"
      parts={[
        { name: "Reporting", count: coverage.reporting, look: "reporting", href: "/assets?state=reporting" },
        { name: "Silent", count: coverage.silent, look: "silent", href: "/assets?state=silent" },
        { name: "Never seen", count: coverage.never, look: "never", href: "/assets?state=never" },
      ]}
    />
    {!complete && (
      <p class="strip warning">
        The fleet is larger than what is counted here: the first part of it is shown.
      </p>
    )}
    {coverage.collectors.length > 0 ? (
      <div class="strip warning">
        <p>
          <Icon name="warning" />
          <a href="/assets?state=collectors">
            {plural(coverage.collectors.length, "host")} with sources that could not be read
          </a>
          . A quiet source is not a clean source.
        </p>
      </div>
    ) : (
      <p class="muted">Every agent that reports could read all of its sources.</p>
    )}
  </section>
);

const Contained = ({ assets, now }: { assets: AssetView[]; now: number }) => (
  <section id="contained" class="card" data-live aria-labelledby="contained-title">
    <div class="card-head">
      <h2 id="contained-title">Containment in progress</h2>
    </div>
    {assets.length === 0 ? (
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
  </section>
);
