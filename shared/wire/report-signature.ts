import { base64url, fromBase64url, utf8 } from "../encoding/bytes.ts";
import { canonicalJson } from "../encoding/canonical-json.ts";
import type { ContainmentReport } from "./heartbeat.ts";
import { importDeviceKey } from "./signature.ts";

/**
 * First line of the signed text. It distinguishes this signature from other signatures with a device key, and
 * from other versions.
 */
const LABEL = "lifecyclezero containment report 1";

/** The host that a report describes. */
type Host = { tenantId: string; assetId: string };

/**
 * Bytes that a device signs for a containment report: the label, a line feed, and canonical JSON. The JSON
 * contains the report without its signature, the tenant and the asset.
 */
export const reportBytes = (host: Host, report: ContainmentReport): Uint8Array<ArrayBuffer> =>
  utf8(reportText(host, report));

/** Text that {@link reportBytes} encodes. */
export function reportText({ tenantId, assetId }: Host, report: ContainmentReport): string {
  const { generation, action, mode, stopEnginesBy, outcome, at, reason, probes } = report;
  // This object lists all members. A new member that is not signed therefore does not compile.
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

/** Adds a signature to the report: Ed25519 (RFC 8032) with the host's device key over {@link reportBytes}. */
export async function signReport(
  deviceKey: CryptoKey,
  host: Host,
  report: ContainmentReport,
): Promise<ContainmentReport & { signature: string }> {
  const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", deviceKey, reportBytes(host, report)));
  return { ...report, signature: base64url(signature) };
}

/**
 * True if the report has a valid signature with this device key for this host. Never throws for invalid
 * values.
 *
 * @param deviceKey x coordinate of the public key, in base64url
 */
export async function isSignedReport(
  deviceKey: string,
  host: Host,
  report: ContainmentReport,
): Promise<boolean> {
  const signature = report.signature === undefined ? undefined : fromBase64url(report.signature);
  if (!signature) return false;
  const key = await importDeviceKey(deviceKey).catch(() => undefined); // The 32 bytes may not be a valid point on the curve.
  return (
    key !== undefined && (await crypto.subtle.verify("Ed25519", key, signature, reportBytes(host, report)))
  );
}
