import { REPORT_REFUSED, type ReportRefusal } from "../containment/containment-state.ts";
import type { Log } from "../observability/log.ts";
import { assetItem, type ProvenReport } from "../table/items/asset/asset.ts";
import { decodeItem } from "../table/items/decode.ts";
import type { EventItem } from "../table/items/event.ts";
import { assetKey } from "../table/keys.ts";
import type { ContainmentReport } from "../wire/heartbeat.ts";
import type { Authority } from "./read-authority.ts";

/** Kinds of events that report what a host has proven. */
const KINDS = ["isolation.proven", "isolation.released", "isolation.failed"] as const;
type ReportKind = (typeof KINDS)[number];

/** Kind of event for a containment report. Undefined for a report without an outcome. */
export function eventKindOf({ action, outcome }: ContainmentReport): ReportKind | undefined {
  if (outcome === "failed") return "isolation.failed";
  if (outcome !== "applied") return undefined;
  return action === "release" ? "isolation.released" : "isolation.proven";
}

/** A checked event. `refused` is the reason why the event proves nothing. Absent if the event is valid. */
export type CheckedEvent = EventItem & { refused?: ReportRefusal };

type Needs = { authority: Pick<Authority, "readMany" | "checkReports">; log: Log };

/**
 * Checks the events of one tenant and returns them in order. An event about what a host has proven needs a
 * report that the host's device signed. Write access to the table is therefore not sufficient to forge it.
 */
export async function checkEvents(
  { authority, log }: Needs,
  tenantId: string,
  events: readonly EventItem[],
): Promise<CheckedEvent[]> {
  const isClaim = ({ kind }: EventItem) => (KINDS as readonly string[]).includes(kind);
  const ids = [...new Set(events.filter(isClaim).flatMap(({ assetId }) => assetId ?? []))];
  const stored = ids.length === 0 ? [] : await authority.readMany(ids.map((id) => assetKey(tenantId, id)));
  const assets = new Map(ids.map((id, index) => [id, stored[index]]));

  async function refusalOf({ kind, assetId, data, report }: EventItem): Promise<ReportRefusal | undefined> {
    const item = assetId === undefined ? undefined : assets.get(assetId);
    if (item === undefined || item instanceof Error) return REPORT_REFUSED.asset;
    if (report === undefined || eventKindOf(report) !== kind || !says(data, report)) {
      const { unsigned: reason } = REPORT_REFUSED;
      log("error", "security.proof-refused", { tenantId, assetId, kind, reason });
      return reason;
    }
    const { freedByCode: _, ...asset } = decodeItem(assetItem, item);
    return (await authority.checkReports({ ...asset, proof: report })).refused?.reason;
  }

  return Promise.all(
    events.map(async (event) => {
      const refused = isClaim(event) ? await refusalOf(event) : undefined;
      return refused === undefined ? event : { ...event, refused };
    }),
  );
}

/** Whether the data of the event matches the signed report. */
const says = (data: EventItem["data"], report: ProvenReport): boolean =>
  (["action", "generation", "mode", "reason"] as const).every((name) => data[name] === report[name]);
