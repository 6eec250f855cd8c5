import { Icon } from "../components/icon.tsx";
import type { Period } from "./detections-in-period.ts";
import type { Evidence } from "./report-data.ts";
import { CsvLink, Fact, MoreRows, number, ROWS_MAX, Section } from "./report-section.tsx";

/** Lists hosts and sources that did not report. The report has no data or incomplete data about these hosts. */
export const CoverageSection = ({ coverage, period }: { coverage: Evidence["coverage"]; period: Period }) => {
  const { silent, neverSeen, sourcesFailing, expired } = coverage;
  const gaps = silent.length + neverSeen.length + sourcesFailing.length + expired.length;
  return (
    <Section id="gaps" title="Gaps in coverage">
      <dl class="facts">
        <Fact name="Hosts on the active list">{number(coverage.hosts)}</Fact>
        <Fact name="Hosts that reported when this report was created">{number(coverage.reporting)}</Fact>
        <Fact name="Silent hosts">{number(silent.length)}</Fact>
        <Fact name="Hosts that were never seen">{number(neverSeen.length)}</Fact>
        <Fact name="Hosts with failed sources">{number(sourcesFailing.length)}</Fact>
        <Fact name="Expired hosts (not in the counts above)">{number(expired.length)}</Fact>
        <Fact name="Lost heartbeats">{number(coverage.heartbeatsLost)}</Fact>
      </dl>
      {!coverage.complete && (
        <p class="strip warning">
          <Icon name="warning" />
          There is more data than one report can read. The counts above are incomplete.
        </p>
      )}
      <p class="muted">
        These numbers do not include hosts without an agent, or AI services that are used through a browser or
        an API.
      </p>
      <GapList
        title="Silent"
        hosts={silent.map((host) => ({ ...host, words: `last seen ${host.lastSeenAt.slice(0, 10)}` }))}
      />
      <GapList
        title="Never seen"
        hosts={neverSeen.map((host) => ({ ...host, words: `enrolled ${host.enrolledAt.slice(0, 10)}` }))}
      />
      <GapList
        title="Sources failing"
        hosts={sourcesFailing.map((host) => ({ ...host, words: host.sources.join(", ") }))}
      />
      <GapList
        title="Expired"
        hosts={expired.map((host) => ({
          ...host,
          words: `${host.reason}, since ${host.since.slice(0, 10)}`,
        }))}
      />
      {gaps > 0 && <CsvLink list="gaps" label="these hosts" period={period} />}
    </Section>
  );
};

const GapList = ({
  title,
  hosts,
}: {
  title: string;
  hosts: readonly { assetId: string; hostname: string; words: string }[];
}) =>
  hosts.length === 0 ? null : (
    <div>
      <h3>{title}</h3>
      <ul class="plain-list">
        {hosts.slice(0, ROWS_MAX).map(({ assetId, hostname, words }) => (
          <li>
            <a href={`/assets/${assetId}`}>
              <bdi>{hostname}</bdi>
            </a>
            , {words}
          </li>
        ))}
      </ul>
      <MoreRows total={hosts.length} />
    </div>
  );
