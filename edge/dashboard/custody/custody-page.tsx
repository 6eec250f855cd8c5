import { verifyCustody } from "../../../shared/containment/custody-chain.ts";
import { isCheckpointSigned } from "../../../shared/containment/custody-checkpoint.ts";
import {
  type AuditItem,
  CUSTODY_ACTIONS,
  type CustodyHeadItem,
} from "../../../shared/table/items/custody.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import type { Admin } from "../../auth/permissions.ts";
import { CUSTODY_HELD_MAX, type HeldCustody, holdCustody } from "../../control/custody/export-custody-log.ts";
import type { CustodyView } from "../../control/custody/list-custody.ts";
import { plural } from "../components/badges.tsx";
import { DownloadLinks } from "../components/download-links.tsx";
import { Empty, Layout } from "../components/layout.tsx";
import type { DashboardDeps } from "../deps.ts";
import { allRows, type Fleet } from "../overview/fleet-cache.ts";
import { type CustodyQuery, custodyMatcher, isNarrowed } from "./custody-search.ts";
import { actionWords, type ChainCheck, CustodyLog } from "./custody-table.tsx";
import { faultWords } from "./field-diff.ts";

const SHOWN_MAX = 100;

/**
 * Verifies all records of the log and the log's head. Checks the signature of the head against the control
 * keys that this node knows.
 */
async function verifyAll(
  records: AuditItem[],
  head: CustodyHeadItem | undefined,
  tenantId: string,
  deps: DashboardDeps,
): Promise<ChainCheck> {
  const at = timestamp(deps.clock());
  const fault = await verifyCustody(records, head);
  if (fault) return { ok: false, at, words: `The log does not verify: ${faultWords(fault)}` };
  const verified = `All ${plural(records.length, "record")} verified: all hashes are correct, and the chains of all hosts and of the organisation match the head`;
  if (head && !(await isCheckpointSigned({ ...head, tenantId }, deps.controlJwks)))
    return {
      ok: false,
      at,
      words: `The signature of the head is not valid for any control key that this node knows, so anyone with write access to the table could have created this log. ${verified}`,
    };
  return { ok: true, at, words: head ? `${verified}. The signature of the head is valid` : verified };
}

const notVerified = ({ head, count }: HeldCustody): ChainCheck => ({
  ok: undefined,
  words: `The log has ${plural(head?.count ?? count, "record")}, so it was not verified here (limit: ${CUSTODY_HELD_MAX.toLocaleString("en")}). Download the JSON and run lz audit verify`,
});

type CustodyResult = {
  query: CustodyQuery;
  hosts: ReadonlyMap<string, string>;
  /** Number of records in the log. */
  count: number;
  /** Number of records that match the search. Undefined if too many records match. */
  found: number | undefined;
  /** The matching records on this page, newest first. Undefined if too many records match. */
  shown: CustodyView[] | undefined;
  check: ChainCheck;
  hasOlder: boolean;
  now: number;
};

/** Reads, verifies and searches the log. */
async function searchCustody(
  { tenantId }: Admin,
  query: CustodyQuery,
  deps: DashboardDeps,
  fleet: Fleet,
): Promise<CustodyResult> {
  const hosts = new Map(allRows(fleet).map((row) => [row.assetId, row.hostname]));
  const matches = custodyMatcher(query, hosts);
  // If the log is too long to hold in memory and the user searches for nothing, only the records of one page
  // are kept. They are selected by record number.
  const isPicked = (record: AuditItem, head: CustodyHeadItem | undefined): boolean =>
    matches(record) &&
    (isNarrowed(query) || record.tenantNumber >= (query.before ?? (head?.count ?? 0) + 1) - SHOWN_MAX);
  const held = await holdCustody(deps, tenantId, isPicked);
  const { all, picked, count } = held;
  const found = (all?.filter(matches) ?? picked)?.map(({ type: _type, ...record }) => record);
  const shown = found?.slice(-SHOWN_MAX).reverse();
  return {
    query,
    hosts,
    count,
    found: found?.length,
    shown,
    check: all ? await verifyAll(all, held.head, tenantId, deps) : notVerified(held),
    hasOlder:
      (found?.length ?? 0) > SHOWN_MAX ||
      (!all && !isNarrowed(query) && (shown?.at(-1)?.tenantNumber ?? 1) > 1),
    now: deps.clock(),
  };
}

/**
 * The custody log page with its search form. The page has no live updates, because each request verifies the
 * complete log.
 */
export async function custodyPage(
  admin: Admin,
  query: CustodyQuery,
  deps: DashboardDeps,
  fleetOf: (id: string) => Promise<Fleet>,
) {
  const result = await searchCustody(admin, query, deps, await fleetOf(admin.tenantId));
  return (
    <Layout frame={{ title: "Custody", admin, nav: "custody", nowMs: result.now }}>
      <div class="page-head">
        <h1>Custody log</h1>
        <p class="muted">
          Each record contains the hash of the previous record, for its host and for the organisation. The
          head of the log is signed with the control key. This page verifies the log. To verify the log
          offline, run <code>lz audit verify</code>.
        </p>
      </div>
      {result.count > 0 && <CustodyFilter query={query} host={result.hosts.get(query.asset ?? "")} />}
      <CustodyRecords result={result} />
    </Layout>
  );
}

const CustodyRecords = ({ result }: { result: CustodyResult }) => {
  const { query, hosts, count, found, shown, check, hasOlder, now } = result;
  return (
    <section class="card" aria-label="Custody log">
      {count === 0 && check.ok ? (
        <Empty title="No custody records">
          Records appear here when a user isolates or releases a host, responds to an incident, or changes the
          configuration.
        </Empty>
      ) : (
        <>
          <div class="card-head">
            <p class="count">{countWords(query, count, found)}</p>
            <DownloadLinks list="custody" filter={{ q: query.q, action: query.action, asset: query.asset }} />
          </div>
          {isNarrowed(query) && (
            <p class="muted small">
              The CSV contains the matching records. The JSON contains the complete log, because verification
              needs all records.
            </p>
          )}
          <CustodyLog records={shown ?? []} check={check} now={now} link={hosts} />
          {shown === undefined && (
            <Empty title="Too many records match">Add words to the search, or select an action.</Empty>
          )}
          {shown?.length === 0 && count > 0 && (
            <Empty title="No record matches">
              <a href="/custody">Show all {plural(count, "record")}</a>
            </Empty>
          )}
        </>
      )}
      {hasOlder && (
        <p class="more">
          <a href={`/custody?${olderThan(query, shown!.at(-1)!.tenantNumber)}`}>Older records</a>
        </p>
      )}
    </section>
  );
};

function countWords(query: CustodyQuery, count: number, found: number | undefined): string {
  if (!isNarrowed(query)) return plural(count, "record");
  const older = query.before !== undefined ? " older" : "";
  return `${found === undefined ? "Too many" : String(found)}${older} of ${plural(count, "record")}`;
}

function olderThan({ q, action, asset }: CustodyQuery, before: number): URLSearchParams {
  const set = Object.entries({ q, action, asset, before: String(before) });
  return new URLSearchParams(set.filter(([, value]) => value !== undefined) as [string, string][]);
}

/**
 * The search form. It is not submitted while the user types, because each search reads and verifies the
 * complete log.
 */
const CustodyFilter = ({ query, host }: { query: CustodyQuery; host: string | undefined }) => (
  <search>
    <form class="filter" method="get" action="/custody">
      <div class="field grow">
        <label for="q">Host, user, IP address, reason, id or hash</label>
        <input id="q" name="q" type="search" maxlength={200} value={query.q ?? ""} autocomplete="off" />
      </div>
      <div class="field">
        <label for="action">Action</label>
        <select id="action" name="action">
          <option value="">Any</option>
          {CUSTODY_ACTIONS.map((action) => (
            <option value={action} selected={query.action === action}>
              {actionWords(action)}
            </option>
          ))}
        </select>
      </div>
      {query.asset !== undefined && (
        <label class="confirm">
          <input type="checkbox" name="asset" value={query.asset} checked />
          <span>
            Only <bdi>{host ?? query.asset}</bdi>
          </span>
        </label>
      )}
      <button type="submit">Search</button>
    </form>
  </search>
);
