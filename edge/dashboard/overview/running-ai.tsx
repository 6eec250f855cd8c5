import type { Ranked } from "../../../shared/table/items/fleet.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { BarTable } from "../charts/bar-charts.tsx";
import { plural } from "../components/badges.tsx";
import { IncompleteNotice } from "../components/count-notices.tsx";
import { Empty } from "../components/layout.tsx";
import { AGE_SHOWN_AFTER_MS, Ago } from "../components/time.tsx";
import type { Overview } from "./overview-data.ts";

const BARS_MAX = 8;

/** Charts of engines, of models in memory and of clients. Each entry shows its number of hosts. */
export const RunningAi = ({ overview }: { overview: Overview }) => {
  const { atMs, complete } = overview.fleet;
  const { engines, models, clients, kinds, withAi, hosts } = overview.fleet.counts;
  return (
    <section id="running" class="card" data-live aria-labelledby="running-title">
      <div class="card-head">
        <h2 id="running-title">Where AI is running</h2>
        <a href="/inventory">Full inventory</a>
      </div>
      <p class="lead">
        AI was found on <a href="/assets?state=ai">{plural(withAi, "host")}</a> of{" "}
        <a href="/assets">{hosts.toLocaleString("en")}</a>:{" "}
        <a href="/inventory#inventory-engines">{plural(engines.total, "engine")}</a> of{" "}
        {plural(kinds, "kind")}, <a href="/inventory#inventory-models">{plural(models.total, "model")}</a> in
        memory and <a href="/inventory#inventory-clients">{plural(clients.total, "local client")}</a>.
      </p>
      {overview.now - atMs > AGE_SHOWN_AFTER_MS && (
        <p class="muted small">
          Counted <Ago at={timestamp(atMs)} now={overview.now} />.
        </p>
      )}
      {!complete && <IncompleteNotice />}
      {engines.total === 0 ? (
        <Empty title="No engine found">No reporting agent has found an AI engine.</Empty>
      ) : (
        <div class="columns thirds">
          <Ranking title="Engines" parameter="engine" ranked={engines} />
          <Ranking title="Models in memory" parameter="model" ranked={models} />
          <Ranking title="Clients" parameter="client" ranked={clients} />
        </div>
      )}
    </section>
  );
};

const Ranking = ({ title, parameter, ranked }: { title: string; parameter: string; ranked: Ranked }) => {
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
        <p class="muted">None reported.</p>
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
