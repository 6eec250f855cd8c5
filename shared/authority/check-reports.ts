import { REPORT_REFUSED, type ReportRefusal } from "../containment/containment-state.ts";
import { evictOldest } from "../evict-oldest.ts";
import type { AssetItem, ProvenReport } from "../table/items/asset/asset.ts";
import { isSignedReport, reportText } from "../wire/report-signature.ts";

/** Maximum number of cached valid signatures, about 500 bytes each. The oldest is removed first. */
const REMEMBERED_MAX = 20_000;

type Host = Pick<AssetItem, "tenantId" | "assetId">;

/** Returns true if the device key signed this report of this host. */
export type ReportVerifier = (deviceKey: string, host: Host, report: ProvenReport) => Promise<boolean>;

/** Verifies each signature once. Caches valid signatures together with everything that they cover. */
export function createReportVerifier(): ReportVerifier {
  const remembered = new Map<string, string>();
  return async (deviceKey, host, report) => {
    const { signature } = report;
    if (signature === undefined) return false;
    const signed = `${deviceKey} ${reportText(host, report)}`;
    if (remembered.get(signature) === signed) return true;
    if (!(await isSignedReport(deviceKey, host, report))) return false;
    evictOldest(remembered, REMEMBERED_MAX);
    remembered.set(signature, signed);
    return true;
  };
}

/**
 * Members of an asset that contain a report of its device. Workers write them, so the authority record does
 * not cover them.
 */
const REPORTS = ["proof", "freedByCode"] as const;
type ReportMember = (typeof REPORTS)[number];

declare const isChecked: unique symbol;

/**
 * An asset that contains only reports signed by its device. `refused` contains the other reports, for use in
 * conditions of writes.
 */
export type CheckedAsset = AssetItem & {
  /** Exists in types only, so that views accept only assets whose reports were verified. */
  readonly [isChecked]: true;
  refused?: { reason: ReportRefusal } & Partial<Record<ReportMember, ProvenReport>>;
};

/** True for an asset without reports, for which no verification is needed. */
export const isWithoutReports = (asset: AssetItem): asset is CheckedAsset =>
  REPORTS.every((name) => asset[name] === undefined);

/**
 * Returns the asset with only the reports that its device signed. The caller must have verified `deviceKey`,
 * see `Authority.read`.
 */
export async function checkReports(asset: AssetItem, verify: ReportVerifier): Promise<CheckedAsset> {
  const refusals = await Promise.all(REPORTS.map((name) => refusalOf(asset, asset[name], verify)));
  const refused = REPORTS.filter((_, index) => refusals[index] !== undefined);
  if (refused.length === 0) return asset as CheckedAsset;
  const reason = refusals.includes("unsigned") ? "unsigned" : "keyReplaced";
  return withoutReports(asset, refused, REPORT_REFUSED[reason]);
}

/** Returns the asset without reports. Used if the record of the asset itself is not valid. */
export const refuseReports = (asset: AssetItem): CheckedAsset =>
  withoutReports(asset, REPORTS, REPORT_REFUSED.asset);

function withoutReports(
  asset: AssetItem,
  names: readonly ReportMember[],
  reason: ReportRefusal,
): CheckedAsset {
  const checked = { ...asset, refused: { reason } } as CheckedAsset;
  for (const name of names) {
    const report = asset[name];
    delete checked[name];
    if (report) checked.refused![name] = report;
  }
  return checked;
}

async function refusalOf(
  asset: AssetItem,
  report: ProvenReport | undefined,
  verify: ReportVerifier,
): Promise<"unsigned" | "keyReplaced" | undefined> {
  if (!report) return undefined;
  const { deviceKey, keyRotatedAt } = asset;
  const { signedBy } = report;
  if (signedBy === deviceKey && (await verify(deviceKey, asset, report))) return undefined;
  // A host whose device key was replaced can still have a report that the old key signed. That report proves
  // nothing, but it is not forged.
  const isOld = keyRotatedAt !== undefined && signedBy !== undefined && signedBy !== deviceKey;
  return isOld && (await verify(signedBy, asset, report)) ? "keyReplaced" : "unsigned";
}
