import { kindName } from "../assets/engines.tsx";
import { plural } from "../components/badges.tsx";
import { Icon } from "../components/icon.tsx";
import { Empty } from "../components/layout.tsx";
import { type Detected, type Period, REPORT_STATES_PER_HOST_MAX } from "./detections-in-period.ts";
import type { Evidence } from "./report-data.ts";
import { isOlderThanRetention } from "./report-period.ts";
import { CsvLink, Fact, MoreRows, number, ROWS_MAX, Section } from "./report-section.tsx";

/** Engines and models that were detected in the period. */
export const DetectionsSection = ({ evidence: { found, period, kept, madeAt } }: { evidence: Evidence }) => (
  <Section id="found" title="Detected AI">
    <dl class="facts">
      <Fact name="Hosts with recorded states in this period">{number(found.hostsSeen)}</Fact>
      <Fact name="Of these, hosts with AI at any time">{number(found.hostsWithAi)}</Fact>
      <Fact name="Employees with AI on a host">{number(found.employeesWithAi)}</Fact>
    </dl>
    <p class="muted">
      Includes every state recorded in this period, and the state of each host when the period began. AI that
      was removed during the period is also included. A state lasts until the next one; the newest state of a
      host lasts until its last heartbeat. Models are listed if they were in memory.
    </p>
    <Limits
      found={found}
      isOlder={isOlderThanRetention(period, kept.retentionDays, madeAt)}
      isFuture={period.to > madeAt.slice(0, 10)}
    />
    <div class="columns">
      <DetectedTable what="Engine" detected={found.engines} period={period} />
      <DetectedTable what="Model" detected={found.models} period={period} />
    </div>
  </Section>
);

/** Says which hosts and states the counts do not cover. */
const Limits = ({
  found: { unread, cut },
  isOlder,
  isFuture,
}: {
  found: Evidence["found"];
  isOlder: boolean;
  isFuture: boolean;
}) => {
  const limits = [
    unread > 0 &&
      `Only the newest state of ${plural(unread, "host")} was read, because more hosts changed than one report can read. This state is included if it began before the end of the period. For complete counts, choose fewer days.`,
    cut > 0 &&
      `Only the newest ${number(REPORT_STATES_PER_HOST_MAX)} states of ${plural(cut, "host")} were read. For complete counts, choose fewer days.`,
    isOlder &&
      "The period starts before the retention time, so states from the first days may already be deleted. Deleted states are not counted.",
    isFuture && "The period ends in the future. The report covers only the time until its creation.",
  ].filter((words) => words !== false);
  if (limits.length === 0) return null;
  return (
    <div class="strip warning">
      <Icon name="warning" />
      <div>
        {limits.map((words) => (
          <p>{words}</p>
        ))}
      </div>
    </div>
  );
};

const DetectedTable = ({
  what,
  detected,
  period,
}: {
  what: "Engine" | "Model";
  detected: readonly Detected[];
  period: Period;
}) =>
  detected.length === 0 ? (
    <Empty title={`No ${what.toLowerCase()} found`} />
  ) : (
    <div>
      <table class="assets inventory">
        <thead>
          <tr>
            <th scope="col">{what}</th>
            <th scope="col" class="number">
              Hosts
            </th>
            <th scope="col" class="number">
              Employees
            </th>
            <th scope="col">Seen</th>
          </tr>
        </thead>
        <tbody>
          {detected.slice(0, ROWS_MAX).map((row) => (
            <tr>
              <th scope="row">
                <bdi>{row.name}</bdi>
                {row.kind !== undefined && <p class="muted small">{kindName(row.kind)}</p>}
              </th>
              <td data-label="Hosts" class="number">
                {number(row.hosts)}
              </td>
              <td data-label="Employees" class="number">
                {number(row.employees)}
              </td>
              <td data-label="Seen">
                <Days from={row.firstSeenAt} to={row.lastSeenAt} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <MoreRows total={detected.length} />
      <CsvLink list={what === "Engine" ? "engines" : "models"} period={period} />
    </div>
  );

const Days = ({ from, to }: { from: string; to: string }) => {
  const [first, last] = [from.slice(0, 10), to.slice(0, 10)];
  return (
    <>
      <time class="nowrap" datetime={from}>
        {first}
      </time>
      {first !== last && (
        <>
          {" "}
          to{" "}
          <time class="nowrap" datetime={to}>
            {last}
          </time>
        </>
      )}
    </>
  );
};
