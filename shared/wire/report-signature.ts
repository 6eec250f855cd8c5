import { base64url, fromBase64url, utf8 } from "../encoding/bytes.ts";
import { canonicalJson } from "../encoding/canonical-json.ts";
import type { ContainmentReport } from "./heartbeat.ts";
import { importDeviceKey } from "./signature.ts";

/**
 * First line of the signed text. It distinguishes this signature from all others by a device key, and from
 * other versions.
 */
const LABEL = "lifecyclezero containment report 1";

/** The host that a report is about. */
type Host = { tenantId: string; assetId: string };

/**
 * The bytes that a device signs for a containment report: the label, a line feed, and the canonical JSON of
 * the report without its signature, the tenant and the asset.
 */
export const reportBytes = (host: Host, report: ContainmentReport): Uint8Array<ArrayBuffer> =>
  utf8(reportText(host, report));

/** The text of {@link reportBytes}. */
export function reportText({ tenantId, assetId }: Host, report: ContainmentReport): string {
  const { generation, action, mode, stopEnginesBy, outcome, at, reason, probes } = report;
  // Lists all members, so that adding a member without signing it does not compile.
  const signed: Record<keyof Omit<ContainmentReport, "signature">, unknown> = {
    generation,
    action,
    mode,
    stopEnginesBy,
    outcome,
    at,
    reason,
    probes,
  };
  return `${LABEL}\n${canonicalJson({ asset: assetId, report: signed, tenant: tenantId })}`;
}

/** The report with a signature (Ed25519, RFC 8032) of the host's device key over {@link reportBytes}. */
export async function signReport(
  deviceKey: CryptoKey,
  host: Host,
  report: ContainmentReport,
): Promise<ContainmentReport & { signature: string }> {
  const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", deviceKey, reportBytes(host, report)));
  return { ...report, signature: base64url(signature) };
}

/**
 * True when the report has a valid signature of this device key for this host. Never throws for invalid
 * values.
 *
 * @param deviceKey x coordinate of the public key, base64url
 */
export async function isSignedReport(
  deviceKey: string,
  host: Host,
  report: ContainmentReport,
): Promise<boolean> {
  const signature = report.signature === undefined ? undefined : fromBase64url(report.signature);
  if (!signature) return false;
  const key = await importDeviceKey(deviceKey).catch(() => undefined); // 32 bytes that are not a point of the curve
  return (
    key !== undefined && (await crypto.subtle.verify("Ed25519", key, signature, reportBytes(host, report)))
  );
}
