import { verifyCustody } from "../../shared/custody.ts";
import type { AuditItem, CustodyHeadItem } from "../../shared/table/items/custody.ts";
import type { Admin } from "../admin/authenticate.ts";
import { CUSTODY_HELD_MAX, type HeldCustody, holdCustody } from "../admin/export-custody.ts";
import type { Deps } from "../deps.ts";
import { plural } from "./badges.tsx";
import { type ChainCheck, CustodyLog } from "./custody.tsx";
import { DownloadLinks } from "./download-links.tsx";
import type { Fleet } from "./fleet.ts";
import { Empty, Layout } from "./layout.tsx";

const SHOWN_MAX = 100;

const isNewest = ({ tenantNumber }: AuditItem, head: CustodyHeadItem | undefined): boolean =>
  tenantNumber > (head?.count ?? 0) - SHOWN_MAX;

async function checkAll(records: AuditItem[], head: CustodyHeadItem | undefined): Promise<ChainCheck> {
  const fault = await verifyCustody(records, head);
  if (fault) return { ok: false, words: `The log does not verify: ${fault.record} ${fault.fault}` };
  return {
    ok: true,
    words: `All ${plural(records.length, "record")} computed again just now: every hash, every asset's chain and the organisation's chain match its head`,
  };
}

const uncheckedWords = ({ head, count }: HeldCustody): ChainCheck => ({
  ok: undefined,
  words: `The log holds ${plural(head?.count ?? count, "record")}, more than one page computes again (${CUSTODY_HELD_MAX.toLocaleString("en")}): it was not checked here. Download the JSON and run lz audit verify on it`,
});

/** Who isolated and released what, and whether the log is whole: computed again on every read, so not live. */
export async function custodyPage(admin: Admin, deps: Deps, fleetOf: (id: string) => Promise<Fleet>) {
  const [held, fleet] = await Promise.all([
    holdCustody(deps, admin.tenantId, isNewest),
    fleetOf(admin.tenantId),
  ]);
  const { all, picked = [], count } = held;
  const check = all ? await checkAll(all, held.head) : uncheckedWords(held);
  const shown = (all ?? picked)
    .slice(-SHOWN_MAX)
    .reverse()
    .map(({ type: _type, ...record }) => record);
  const hosts = new Map(fleet.rows.map((row) => [row.assetId, row.hostname]));
  return (
    <Layout frame={{ title: "Custody", admin, place: "custody", nowMs: deps.clock() }}>
      <div class="page-head">
        <h1>Custody log</h1>
        <p class="muted">
          Each record carries the hash of the one before it, for its asset and for the organisation. The head
          is signed with the control key; <code>lz audit verify</code> checks that signature offline.
        </p>
      </div>
      <section class="card" aria-label="Custody log">
        {count === 0 && check.ok ? (
          <Empty title="No custody record">
            Nobody has isolated, released, answered or configured anything.
          </Empty>
        ) : (
          <>
            <DownloadLinks list="custody" />
            <CustodyLog records={shown} check={check} now={deps.clock()} link={hosts} />
          </>
        )}
        {count > SHOWN_MAX && (
          <p class="muted small">
            The newest {String(SHOWN_MAX)} are shown{all ? "; all of them were checked" : ""}.
          </p>
        )}
      </section>
    </Layout>
  );
}
