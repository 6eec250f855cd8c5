import type { Child } from "hono/jsx";
import { z } from "zod";
import type { Admin } from "../../auth/permissions.ts";
import type { Deps } from "../../deps.ts";
import { kindName } from "../assets/engines.tsx";
import { Badge, plural, RiskBadge } from "../components/badges.tsx";
import { Icon } from "../components/icon.tsx";
import { Empty, Layout } from "../components/layout.tsx";
import { Moment } from "../components/time.tsx";
import { actionWords } from "../custody/custody-table.tsx";
import { type Counted, type Period, REPORT_STATES_PER_HOST_MAX } from "./detections-in-period.ts";
import { type Evidence, gatherEvidence } from "./report-data.ts";
import type { ReportListName } from "./report-exports.ts";

const DAYS_DEFAULT = 30;
const DAY_MS = 86_400_000;
/** What paper still holds; the files have all of it. */
const ROWS_MAX = 50;

const day = z.iso.date();
const blank = z.literal("").transform(() => undefined);
export const reportQuery = z.object({ from: blank.or(day).optional(), to: blank.or(day).optional() });
export type ReportQuery = z.infer<typeof reportQuery>;

/** The days asked for, else the last thirty; undefined when they end before they begin. */
export function periodOf({ from, to }: ReportQuery, nowMs: number): Period | undefined {
  const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10);
  const last = to ?? dayOf(nowMs);
  const first =
    from ?? dayOf(Math.max(Date.parse("0000-01-01"), Date.parse(last) - (DAYS_DEFAULT - 1) * DAY_MS));
  return first <= last ? { from: first, to: last } : undefined;
}

/** The record of a period, to print and to hand over: what was found, what was done, and what was not seen. */
export async function reportPage(admin: Admin, period: Period, deps: Deps) {
  const evidence = await gatherEvidence(deps, admin.tenantId, period);
  return (
    <Layout frame={{ title: "Evidence report", admin, place: "report", nowMs: deps.clock() }}>
      <div class="page-head">
        <h1>Evidence report</h1>
        <p class="lead">
          <bdi>{evidence.organisation}</bdi>, {period.from} to {period.to}, both days included, in UTC
        </p>
        <p class="muted">
          Made <Moment at={evidence.madeAt} /> for <bdi>{admin.userId}</bdi> of organisation{" "}
          <bdi class="mono">{admin.tenantId}</bdi>, from what agents reported and people did. It is evidence
          to judge by; it does not say that any law or standard is met.
        </p>
      </div>
      <PeriodForm period={period} />
      <Found evidence={evidence} />
      <Incidents incidents={evidence.incidents} period={period} />
      <Done done={evidence.done} period={period} />
      <Custody custody={evidence.custody} />
      <Gaps coverage={evidence.coverage} period={period} />
      <Duties evidence={evidence} />
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
          Download all as JSON
        </a>{" "}
        Each list has its CSV. Your browser prints this page to paper or PDF.
      </p>
    </form>
  </search>
);

/** Every row of a list, where the page shows the first. */
const Csv = ({ list, of, period }: { list: ReportListName; of?: string; period: Period }) => (
  <p class="downloads">
    <a href={`/report.csv?${new URLSearchParams({ list, ...period })}`} download>
      Download {of ?? list} as CSV
    </a>
  </p>
);

const Section = ({ id, title, children }: { id: string; title: string; children: Child }) => (
  <section id={id} class="card" aria-labelledby={`${id}-title`}>
    <h2 id={`${id}-title`}>{title}</h2>
    {children}
  </section>
);

const Fact = ({ name, children }: { name: string; children: Child }) => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
);

const number = (count: number): string => count.toLocaleString("en");

const Found = ({ evidence: { found, period, kept, madeAt } }: { evidence: Evidence }) => (
  <Section id="found" title="What AI was found">
    <dl class="facts">
      <Fact name="Hosts with a state in these days">{number(found.hostsSeen)}</Fact>
      <Fact name="Of these with AI at any time">{number(found.hostsWithAi)}</Fact>
      <Fact name="Employees with AI on a host">{number(found.employeesWithAi)}</Fact>
    </dl>
    <p class="muted">
      From every recorded state of these days and the one each host was in when they began: what came and went
      is counted too. A state holds until the next one, and a host's newest until the host was last heard of.
      Models are those that were in memory.
    </p>
    <FoundLimits
      found={found}
      isOlderThanKept={isOlderThanKept(period, kept.retentionDays, madeAt)}
      isAhead={period.to > madeAt.slice(0, 10)}
    />
    <div class="columns">
      <CountTable what="Engine" counted={found.engines} period={period} />
      <CountTable what="Model" counted={found.models} period={period} />
    </div>
  </Section>
);

/** States of that time are no longer there, or some of them. */
const isOlderThanKept = ({ from }: Period, retentionDays: number, madeAt: string): boolean =>
  Date.parse(madeAt) - Date.parse(from) > retentionDays * DAY_MS;

/** What the counts leave out, where they do. */
const FoundLimits = ({
  found,
  isOlderThanKept,
  isAhead,
}: {
  found: Evidence["found"];
  isOlderThanKept: boolean;
  isAhead: boolean;
}) => {
  const { unread, cut } = found;
  const left = [
    unread > 0 &&
      `Of ${plural(unread, "host")} only the newest state was looked at, and that only if it began by the last day: more changed in these days than one report reads. Choose fewer days.`,
    cut > 0 &&
      `Of ${plural(cut, "host")} only the newest ${number(REPORT_STATES_PER_HOST_MAX)} states of these days were looked at. Choose fewer days.`,
    isOlderThanKept &&
      "The first of these days are longer ago than states are kept: what only they showed is not counted.",
    isAhead && "The last of these days are still to come: all that is told here is up to when this was made.",
  ].filter((words) => words !== false);
  if (left.length === 0) return null;
  return (
    <div class="strip warning">
      <Icon name="warning" />
      <div>
        {left.map((words) => (
          <p>{words}</p>
        ))}
      </div>
    </div>
  );
};

const CountTable = ({
  what,
  counted,
  period,
}: {
  what: "Engine" | "Model";
  counted: readonly Counted[];
  period: Period;
}) =>
  counted.length === 0 ? (
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
          {counted.slice(0, ROWS_MAX).map(({ name, kind, hosts, employees, firstSeenAt, lastSeenAt }) => (
            <tr>
              <th scope="row">
                <bdi>{name}</bdi>
                {kind !== undefined && <p class="muted small">{kindName(kind)}</p>}
              </th>
              <td data-label="Hosts" class="number">
                {number(hosts)}
              </td>
              <td data-label="Employees" class="number">
                {number(employees)}
              </td>
              <td data-label="Seen">
                <Days from={firstSeenAt} to={lastSeenAt} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <Cut shown={ROWS_MAX} all={counted.length} />
      <Csv list={what === "Engine" ? "engines" : "models"} period={period} />
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

const Cut = ({ shown, all }: { shown: number; all: number }) =>
  all > shown ? (
    <p class="more">
      {number(shown)} of {number(all)} shown; the files hold all of them.
    </p>
  ) : null;

const Incidents = ({ incidents, period }: { incidents: Evidence["incidents"]; period: Period }) => (
  <Section id="incidents" title="What was wrong with it">
    <dl class="facts">
      <Fact name="Incidents opened">
        {number(incidents.opened)} ({number(incidents.critical)} critical, {number(incidents.warning)}{" "}
        warning)
      </Fact>
      <Fact name="Acknowledged by a person">{number(incidents.acknowledged)}</Fact>
      <Fact name="Resolved by a person">{number(incidents.resolvedByPeople)}</Fact>
      <Fact name="Closed because the condition was gone">{number(incidents.resolvedByQuiet)}</Fact>
      <Fact name="Opened by the last day and open now">{number(incidents.stillOpen)}</Fact>
    </dl>
    <p class="muted">
      There is one incident for each asset, rule and engine: one that came back is told with its newest
      opening only.
    </p>
    {incidents.list.length > 0 && (
      <table class="assets">
        <thead>
          <tr>
            <th scope="col">Incident</th>
            <th scope="col">Risk</th>
            <th scope="col">Opened</th>
            <th scope="col">Outcome</th>
          </tr>
        </thead>
        <tbody>
          {incidents.list.slice(0, ROWS_MAX).map((incident) => (
            <tr>
              <th scope="row">
                <a href={`/incidents/${incident.id}`}>
                  <bdi>{incident.engineName}</bdi> on <bdi>{incident.hostname}</bdi>
                </a>
                <p class="muted small">
                  <bdi>{incident.title ?? incident.rule}</bdi>
                </p>
              </th>
              <td data-label="Risk">
                <RiskBadge risk={incident.risk} />
              </td>
              <td data-label="Opened" class="nowrap">
                <Moment at={incident.openedAt} />
              </td>
              <td data-label="Outcome">
                {incident.resolvedAt === undefined ? (
                  "Open"
                ) : (
                  <>
                    <Moment at={incident.resolvedAt} />: <bdi>{incident.resolution ?? "resolved"}</bdi>
                  </>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    )}
    <Cut shown={ROWS_MAX} all={incidents.list.length} />
    {incidents.list.length > 0 && <Csv list="incidents" period={period} />}
  </Section>
);

const Done = ({ done, period }: { done: Evidence["done"]; period: Period }) => (
  <Section id="done" title="What people did">
    {!done.complete ? (
      <Empty title="There are more custody records in these days than a report can hold" icon="warning">
        None is told here, so that no count is of a part. Choose fewer days, or export the log.
      </Empty>
    ) : done.records.length === 0 ? (
      <Empty title="No custody record in these days">
        Nobody isolated, released, answered or configured.
      </Empty>
    ) : (
      <>
        <dl class="facts">
          {done.byAction.map(({ action, records, people }) => (
            <Fact name={actionWords(action)}>
              {plural(records, "record")} by {plural(people, "person", "people")}
            </Fact>
          ))}
        </dl>
        <table class="assets">
          <thead>
            <tr>
              <th scope="col">When</th>
              <th scope="col">Action</th>
              <th scope="col">By</th>
              <th scope="col">Reason</th>
            </tr>
          </thead>
          <tbody>
            {done.records.slice(-ROWS_MAX).map((record) => (
              <tr>
                <th scope="row">
                  #{String(record.tenantNumber)} <Moment at={record.at} />
                </th>
                <td data-label="Action">
                  {actionWords(record.action)}
                  {record.mode !== undefined && `, mode ${record.mode}`}
                </td>
                <td data-label="By">
                  <bdi>{record.operatorId}</bdi>
                </td>
                <td data-label="Reason">
                  <bdi>{record.justification ?? "none given"}</bdi>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        <Cut shown={ROWS_MAX} all={done.records.length} />
        <Csv list="decisions" of="these records" period={period} />
        <p class="muted small">
          A record says what was asked. Whether the host proved it stands with the asset.
        </p>
      </>
    )}
  </Section>
);

const Checked = ({ custody }: { custody: Evidence["custody"] }) => {
  const { checked, verified, records, words } = custody;
  const [look, icon, text] = !checked
    ? (["warning", "warning", `The log was not checked here: ${words}. Run lz audit verify on it.`] as const)
    : !verified
      ? (["critical", "critical", `The log does not verify: ${words}.`] as const)
      : records === 0
        ? (["", "info", "There is nothing to compute again."] as const)
        : (["ok", "ok", `All ${plural(records, "record")} of the log computed again: ${words}.`] as const);
  return (
    <p class={`strip ${look}`}>
      <Icon name={icon} />
      {text}
    </p>
  );
};

const Custody = ({ custody }: { custody: Evidence["custody"] }) => (
  <Section id="custody" title="Whether the log is whole">
    <Checked custody={custody} />
    <p>
      {custody.records === 0
        ? "There is no record yet, and so no signed head."
        : custody.headSigned
          ? "The head is signed with the control key, and the signature verifies."
          : "The signature of the head does not verify with the control keys this node knows."}{" "}
      {custody.head !== "" && (
        <>
          Head: <code>{custody.head}</code>.{" "}
        </>
      )}
      Compare it with a head you kept elsewhere: this page cannot tell that a whole log was replaced by
      whoever holds the key.
    </p>
  </Section>
);

const Gaps = ({ coverage, period }: { coverage: Evidence["coverage"]; period: Period }) => {
  const { silent, neverSeen, sourcesFailing, expired } = coverage;
  return (
    <Section id="gaps" title="What was not seen">
      <dl class="facts">
        <Fact name="Hosts on the active list">{number(coverage.hosts)}</Fact>
        <Fact name="Reporting when this was made">{number(coverage.reporting)}</Fact>
        <Fact name="Silent">{number(silent.length)}</Fact>
        <Fact name="Never heard of">{number(neverSeen.length)}</Fact>
        <Fact name="With a source that failed">{number(sourcesFailing.length)}</Fact>
        <Fact name="Expired, in none of these counts">{number(expired.length)}</Fact>
        <Fact name="Heartbeats agents had to drop">{number(coverage.heartbeatsLost)}</Fact>
      </dl>
      {!coverage.complete && (
        <p class="strip warning">
          <Icon name="warning" />
          There is more than one report reads: the counts above are of a part.
        </p>
      )}
      <p class="muted">
        Hosts without an agent are not in any of these numbers, nor is AI that runs elsewhere and is used
        through a browser or an API.
      </p>
      <GapList
        title="Silent"
        hosts={silent.map((host) => ({ ...host, words: `last heard of ${host.lastSeenAt.slice(0, 10)}` }))}
      />
      <GapList
        title="Never heard of"
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
      {silent.length + neverSeen.length + sourcesFailing.length + expired.length > 0 && (
        <Csv list="gaps" of="these hosts" period={period} />
      )}
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
      <Cut shown={ROWS_MAX} all={hosts.length} />
    </div>
  );

/** Which duty each part may serve as evidence toward, and what it does not show. The wording is part of the product. */
const Duties = ({ evidence }: { evidence: Evidence }) => (
  <Section id="duties" title="What it may be evidence toward">
    <p>
      For the person who has to judge. Whether a duty applies depends on the AI system, its risk class and
      your role, none of which an agent can see.
    </p>
    <dl class="duties">
      {dutiesOf(evidence).map(({ where, shows, silent }) => (
        <div>
          <dt>
            <Badge tone="quiet" icon="info">
              {where}
            </Badge>
          </dt>
          <dd>
            <p>{shows}</p>
            <p class="muted">Not shown: {silent}</p>
          </dd>
        </div>
      ))}
    </dl>
  </Section>
);

export const dutiesOf = ({ found, done, kept }: Evidence) => [
  {
    where: "EU AI Act, Article 4 (AI literacy)",
    shows: `${plural(found.employeesWithAi, "employee")} had AI on a host, and which: whom a literacy measure may have to reach.`,
    silent: "that anybody was trained, or how well they know what they use.",
  },
  {
    where: "EU AI Act, Article 26(5) (monitoring by deployers)",
    shows: "Which engines and models ran where, the incidents that rules opened, and how each was answered.",
    silent: "how an AI system performed in its use, or whether one of them is high-risk.",
  },
  {
    where: "EU AI Act, Article 26(6) (keeping logs)",
    shows: `States and incidents are kept ${plural(kept.retentionDays, "day")} by the organisation's setting; custody records do not expire. The article asks deployers of high-risk systems for at least six months of the logs such a system makes, where these are under their control.`,
    silent: "the logs of the AI systems themselves: these are records about them, not by them.",
  },
  {
    where: "EU AI Act, Article 26(2) (human oversight)",
    shows: done.complete
      ? `${plural(done.records.length, "decision")} of named people in these days, with time, reason and hash.`
      : "Decisions of named people, with time, reason and hash: there were too many in these days to tell them here.",
    silent: "the competence, training and authority of those people.",
  },
  {
    where: "ISO/IEC 42001:2023, Annex A.4 (resources for AI systems)",
    shows:
      "An inventory of engines and models found on hosts, from measurement and not from a questionnaire.",
    silent: "data resources, human resources, and AI used as a service.",
  },
  {
    where: "ISO/IEC 42001:2023, A.6.2.6 and A.6.2.8 (operation, monitoring, event logs)",
    shows: `Continuous reports with their gaps named, rules by policy version ${kept.policyVersion}, and a log whose verification is above.`,
    silent: "the events inside an AI system.",
  },
  {
    where: "ISO/IEC 42001:2023, A.9.2 (responsible use)",
    shows: "Where use and policy differed, and what was done about it.",
    silent: "that the policy itself is adequate.",
  },
];
