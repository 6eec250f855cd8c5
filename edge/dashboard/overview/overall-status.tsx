import type { Page } from "../../control/table-query.ts";
import { plural } from "../components/badges.tsx";
import { Icon, type IconName } from "../components/icon.tsx";
import type { Overview } from "./overview-data.ts";

type Status = { tone: string; icon: IconName; sentence: string };

/**
 * States the most important fact about the fleet in one sentence. The tiles below the sentence link to lists
 * with details.
 */
export const OverallStatus = ({ overview }: { overview: Overview }) => {
  const { critical, warning, fleet, contained } = overview;
  const { tone, icon, sentence } = statusOf(overview);
  return (
    <section id="verdict" class={`verdict ${tone}`} data-live aria-labelledby="verdict-title">
      <div class="verdict-say">
        <p class="eyebrow">Current status</p>
        <h1 id="verdict-title">
          <Icon name={icon} />
          {sentence}
        </h1>
        <StatusDetails overview={overview} />
      </div>
      <ul class="tiles">
        <Tile
          href="/incidents?risk=CRITICAL"
          icon="critical"
          tone="critical"
          count={countOf(critical)}
          name="Critical"
        />
        <Tile
          href="/incidents?risk=WARNING"
          icon="warning"
          tone="warning"
          count={countOf(warning)}
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

/** Formats a count, for example `12`. Adds `+`, as in `200+`, if more incidents exist than were read. */
const countOf = (page: Page<unknown>): string =>
  `${page.items.length}${page.cursor === undefined ? "" : "+"}`;

const moreThan = (page: Page<unknown>): string => (page.cursor === undefined ? "" : "More than ");

/**
 * Composes the headline. It says "No open incidents" only if every incident was read and at least one host
 * reports.
 */
function statusOf({ critical, warning, fleet: { counts } }: Overview): Status {
  const [criticals, warnings] = [critical.items.length, warning.items.length];
  if (criticals > 0) {
    const verb = criticals === 1 ? "is" : "are";
    const sentence = `${moreThan(critical)}${plural(criticals, "critical incident")} ${verb} open`;
    return { tone: "critical", icon: "critical", sentence };
  }
  if (warnings > 0) {
    const verb = warnings === 1 ? "is" : "are";
    const sentence = `Nothing critical. ${moreThan(warning)}${plural(warnings, "warning")} ${verb} open`;
    return { tone: "warning", icon: "warning", sentence };
  }
  if ((critical.cursor ?? warning.cursor) !== undefined) {
    return { tone: "warning", icon: "warning", sentence: "Unknown: not all open incidents could be read" };
  }
  if (counts.hosts === 0 && counts.expired > 0) {
    return { tone: "warning", icon: "silent", sentence: "Unknown: every enrolled host has expired" };
  }
  if (counts.hosts === 0) return { tone: "quiet", icon: "info", sentence: "No hosts are enrolled yet" };
  if (counts.reporting === 0) {
    return { tone: "warning", icon: "silent", sentence: "Unknown: no host is reporting" };
  }
  return { tone: "ok", icon: "ok", sentence: "No open incidents" };
}

/**
 * Shows the numbers of affected hosts, of warnings, of hosts without current data, and of hosts with
 * incomplete data. Each number links to its list.
 */
const StatusDetails = ({ overview: { critical, warning, fleet } }: { overview: Overview }) => {
  const { hosts, reporting, silent, never, withFailedSources } = fleet.counts;
  const unseen = silent + never;
  const affected = new Set(critical.items.map((incident) => incident.assetId)).size;
  const warnings = countOf(warning);
  return (
    <p>
      {affected > 0 && (
        <>
          {critical.cursor === undefined ? "Affected: " : "Affected: at least "}
          <a href="/incidents?risk=CRITICAL">{plural(affected, "host")}</a>. Also open:{" "}
          <a href="/incidents?risk=WARNING">{`${warnings} ${warnings === "1" ? "warning" : "warnings"}`}</a>.{" "}
        </>
      )}
      {hosts > 0 && (
        <>
          <a href="/assets?state=reporting">{reporting.toLocaleString("en")}</a> of{" "}
          <a href="/assets">{plural(hosts, "host")}</a> {reporting === 1 ? "is" : "are"} reporting.{" "}
        </>
      )}
      {unseen > 0 && (
        <>
          It is unknown what runs on the other{" "}
          <a href="/assets?state=unseen">{unseen.toLocaleString("en")}</a> now.{" "}
        </>
      )}
      {withFailedSources > 0 && (
        <>
          On <a href="/assets?state=collectors">{plural(withFailedSources, "host")}</a>, the agent could not
          read all of its sources.
        </>
      )}
    </p>
  );
};
