import type { ContainmentReport } from "../../shared/wire/heartbeat.ts";
import { signReport } from "../../shared/wire/report-signature.ts";
import type { DeviceKey, Identity } from "../identity.ts";

/**
 * Gives the report signed with the device key: once for each report, however often it is sent. Before the first directive
 * there is nothing to prove, and nothing to sign.
 */
export function createSignedReport(
  report: () => ContainmentReport,
  device: Pick<DeviceKey, "privateKey">,
  self: Pick<Identity, "tenantId" | "assetId">,
): () => Promise<ContainmentReport> {
  let last: { report: ContainmentReport; signed: Promise<ContainmentReport> } | undefined;
  return async () => {
    const now = report();
    if (now.generation === 0) return now;
    if (last?.report !== now) last = { report: now, signed: signReport(device.privateKey, self, now) };
    return last.signed;
  };
}
