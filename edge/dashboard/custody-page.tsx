import { verifyCustody } from "../../shared/custody.ts";
import type { Admin } from "../admin/authenticate.ts";
import { exportCustody } from "../admin/read.ts";
import type { Deps } from "../deps.ts";
import { plural } from "./badges.tsx";
import { type ChainCheck, CustodyLog } from "./custody.tsx";
import { DownloadLinks } from "./download-links.tsx";
import type { Fleet } from "./fleet.ts";
import { Empty, Layout } from "./layout.tsx";

const SHOWN_MAX = 100;

/** Who isolated and released what, and whether the log is whole: computed again on every read, so not live. */
export async function custodyPage(admin: Admin, deps: Deps, fleetOf: (id: string) => Promise<Fleet>) {
  const [{ records, head }, fleet] = await Promise.all([
    exportCustody(deps, admin.tenantId),
    fleetOf(admin.tenantId),
  ]);
  const fault = await verifyCustody(records, head);
  const newestFirst = [...records].sort((a, b) => b.tenantNumber - a.tenantNumber);
  const check: ChainCheck = fault
    ? { ok: false, words: `The log does not verify: ${fault.record} ${fault.fault}` }
    : {
        ok: true,
        words: `All ${plural(records.length, "record")} computed again just now: every hash, every asset's chain and the organisation's chain match its head`,
      };
  const shown = newestFirst.slice(0, SHOWN_MAX).map(({ type: _type, ...record }) => record);
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
        {records.length === 0 && !fault ? (
          <Empty title="No custody record">
            Nobody has isolated, released, answered or configured anything.
          </Empty>
        ) : (
          <>
            <DownloadLinks list="custody" />
            <CustodyLog records={shown} check={check} now={deps.clock()} link={hosts} />
          </>
        )}
        {records.length > SHOWN_MAX && (
          <p class="muted small">The newest {String(SHOWN_MAX)} are shown; all of them were checked.</p>
        )}
      </section>
    </Layout>
  );
}
