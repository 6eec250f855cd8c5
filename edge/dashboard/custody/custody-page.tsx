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
import type { Deps } from "../../deps.ts";
import { plural } from "../components/badges.tsx";
import { DownloadLinks } from "../components/download-links.tsx";
import { Empty, Layout } from "../components/layout.tsx";
import { allRows, type Fleet } from "../overview/fleet-cache.ts";
import { type CustodyQuery, custodyMatcher, isNarrowed } from "./custody-search.ts";
import { actionWords, type ChainCheck, CustodyLog } from "./custody-table.tsx";

const SHOWN_MAX = 100;

/** The records against their head, and the head against the control keys this node knows. */
async function checkAll(
  records: AuditItem[],
  head: CustodyHeadItem | undefined,
  tenantId: string,
  deps: Deps,
): Promise<ChainCheck> {
  const at = timestamp(deps.clock());
  const fault = await verifyCustody(records, head);
  if (fault) return { ok: false, at, words: `The log does not verify: ${fault.record} ${fault.fault}` };
  const all = `All ${plural(records.length, "record")} computed again: every hash, every asset's chain and the organisation's chain match its head`;
  if (head && !(await isCheckpointSigned({ ...head, tenantId }, deps.controlJwks)))
    return {
      ok: false,
      at,
      words: `The signature of the head does not verify with the control keys this node knows. ${all}, which anybody who writes to the table could have made`,
    };
  return { ok: true, at, words: head ? `${all}, and the head's signature verifies` : all };
}

const uncheckedWords = ({ head, count }: HeldCustody): ChainCheck => ({
  ok: undefined,
  words: `The log holds ${plural(head?.count ?? count, "record")}, more than one page computes again (${CUSTODY_HELD_MAX.toLocaleString("en")}): it was not checked here. Download the JSON and run lz audit verify on it`,
});

/** Who isolated and released what, and whether the log is whole: computed again on every read, so not live. */
export async function custodyPage(
  admin: Admin,
  query: CustodyQuery,
  deps: Deps,
  fleetOf: (id: string) => Promise<Fleet>,
) {
  const fleet = await fleetOf(admin.tenantId);
  const hosts = new Map(allRows(fleet).map((row) => [row.assetId, row.hostname]));
  const matches = custodyMatcher(query, hosts);
  // Of a log that is too long to be held the newest are picked by number, unless it is searched.
  const isPicked = (record: AuditItem, head: CustodyHeadItem | undefined): boolean =>
    matches(record) &&
    (isNarrowed(query) || record.tenantNumber >= (query.before ?? (head?.count ?? 0) + 1) - SHOWN_MAX);
  const held = await holdCustody(deps, admin.tenantId, isPicked);
  const { all, picked, count } = held;
  const found = (all?.filter(matches) ?? picked)?.map(({ type: _type, ...record }) => record);
  const shown = found?.slice(-SHOWN_MAX).reverse();
  const check = all ? await checkAll(all, held.head, admin.tenantId, deps) : uncheckedWords(held);
  const isOlder =
    (found?.length ?? 0) > SHOWN_MAX ||
    (!all && !isNarrowed(query) && (shown?.at(-1)?.tenantNumber ?? 1) > 1);
  return (
    <Layout frame={{ title: "Custody", admin, place: "custody", nowMs: deps.clock() }}>
      <div class="page-head">
        <h1>Custody log</h1>
        <p class="muted">
          Each record carries the hash of the one before it, for its asset and for the organisation. The head
          is signed with the control key: checked here with the keys this node knows, and offline by{" "}
          <code>lz audit verify</code>.
        </p>
      </div>
      {count > 0 && <CustodyFilter query={query} host={hosts.get(query.asset ?? "")} />}
      <section class="card" aria-label="Custody log">
        {count === 0 && check.ok ? (
          <Empty title="No custody record">
            Nobody has isolated, released, answered or configured anything.
          </Empty>
        ) : (
          <>
            <div class="card-head">
              <p class="count">{countWords(query, count, found?.length)}</p>
              <DownloadLinks
                list="custody"
                filter={{ q: query.q, action: query.action, asset: query.asset }}
              />
            </div>
            {isNarrowed(query) && (
              <p class="muted small">
                The CSV holds what was found, the JSON the whole log: only that verifies.
              </p>
            )}
            <CustodyLog records={shown ?? []} check={check} now={deps.clock()} link={hosts} />
            {shown === undefined && (
              <Empty title="Too many records match">Search for more words, or for one action.</Empty>
            )}
            {shown?.length === 0 && count > 0 && (
              <Empty title="No record matches">
                <a href="/custody">The whole log</a> has {plural(count, "record")}.
              </Empty>
            )}
          </>
        )}
        {isOlder && (
          <p class="more">
            <a href={`/custody?${older(query, shown!.at(-1)!.tenantNumber)}`}>Older records</a>
          </p>
        )}
      </section>
    </Layout>
  );
}

function countWords(query: CustodyQuery, count: number, found: number | undefined): string {
  if (!isNarrowed(query)) return plural(count, "record");
  const isPartly = query.before !== undefined ? " older" : "";
  return `${found === undefined ? "Very many" : String(found)}${isPartly} of ${plural(count, "record")}`;
}

function older({ q, action, asset }: CustodyQuery, before: number): URLSearchParams {
  const set = Object.entries({ q, action, asset, before: String(before) });
  return new URLSearchParams(set.filter(([, value]) => value !== undefined) as [string, string][]);
}

/** Each search reads and computes the whole log again: it is sent when asked for, not while it is typed. */
const CustodyFilter = ({ query, host }: { query: CustodyQuery; host: string | undefined }) => (
  <search>
    <form class="filter" method="get" action="/custody">
      <div class="field grow">
        <label for="q">Host, person, address, reason, or any id or hash</label>
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
