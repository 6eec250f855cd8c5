import type { CustodyView } from "../../control/custody/list-custody.ts";
import { plural } from "../components/badges.tsx";
import { Empty } from "../components/layout.tsx";
import { Moment } from "../components/time.tsx";
import { actionWords } from "../custody/custody-table.tsx";
import type { Period } from "./detections-in-period.ts";
import type { Evidence } from "./report-data.ts";
import { CsvLink, Fact, MoreRows, ROWS_MAX, Section } from "./report-section.tsx";

/** Shows the custody records of the period: the decisions and changes that users made. */
export const DecisionsSection = ({ done, period }: { done: Evidence["done"]; period: Period }) => (
  <Section id="done" title="Decisions and changes">
    {!done.complete ? (
      <Empty title="Too many custody records in this period" icon="warning">
        The report does not list any records, because its counts would be incomplete. To see the records,
        choose fewer days or export the custody log.
      </Empty>
    ) : done.records.length === 0 ? (
      <Empty title="No custody records in this period">
        No one isolated or released a host, responded to an incident or changed the configuration.
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
        <DecisionsTable records={done.records.slice(-ROWS_MAX)} />
        <MoreRows total={done.records.length} />
        <CsvLink list="decisions" label="these records" period={period} />
        <p class="muted small">
          A record shows what was requested. The page of the host shows what its agent has proven.
        </p>
      </>
    )}
  </Section>
);

const DecisionsTable = ({ records }: { records: readonly CustodyView[] }) => (
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
      {records.map((record) => (
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
);
