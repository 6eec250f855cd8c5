import { base64url, fromBase64url, utf8 } from "../encoding/bytes.ts";
import { canonicalJson } from "../encoding/canonical-json.ts";
import type { ContainmentReport } from "./heartbeat.ts";
import { importDeviceKey } from "./signature.ts";

/** First line of what is signed: no other thing that a device key signs begins like it, nor another version of this. */
const LABEL = "lifecyclezero containment report 1";

/** Whose report it is. */
type Host = { tenantId: string; assetId: string };

/**
 * The bytes that a device signs of its containment report: the label, a line feed, and as canonical JSON the report
 * without its signature, the tenant and the asset. Where a report is kept, sent or checked, it is by these bytes.
 */
export const reportBytes = (host: Host, report: ContainmentReport): Uint8Array<ArrayBuffer> =>
  utf8(reportText(host, report));

/** The same as text. */
export function reportText({ tenantId, assetId }: Host, report: ContainmentReport): string {
  const { generation, action, mode, stopEnginesBy, outcome, at, reason, probes } = report;
  // All of it: a field that is added and not signed does not compile.
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

/** The report with the signature (Ed25519, RFC 8032) of the host's device key over {@link reportBytes}. */
export async function signReport(
  deviceKey: CryptoKey,
  host: Host,
  report: ContainmentReport,
): Promise<ContainmentReport & { signature: string }> {
  const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", deviceKey, reportBytes(host, report)));
  return { ...report, signature: base64url(signature) };
}

/**
 * True when the report carries a signature of this device key for this very host. Never throws on hostile values.
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
  const key = await importDeviceKey(deviceKey).catch(() => undefined); // 32 bytes that are no point of the curve
  return (
    key !== undefined && (await crypto.subtle.verify("Ed25519", key, signature, reportBytes(host, report)))
  );
}
