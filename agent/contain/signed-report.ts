import { messageOf } from "../../shared/observability/error-message.ts";
import type { ContainmentReport } from "../../shared/wire/heartbeat.ts";
import { signReport } from "../../shared/wire/report-signature.ts";
import type { DeviceKey, Identity } from "../identity/device-identity.ts";
import type { Log } from "../platform/log.ts";

/**
 * Returns the report, signed with the device key. Each report is signed once, even if it is sent many times.
 * Before the first directive, the report is not signed, because it proves nothing. If signing fails, the
 * unsigned report is sent, so that the control plane still receives a liveness signal.
 */
export function createSignedReport(
  report: () => ContainmentReport,
  device: Pick<DeviceKey, "privateKey">,
  self: Pick<Identity, "tenantId" | "assetId">,
  log: Log,
): () => Promise<ContainmentReport> {
  let last: { report: ContainmentReport; signed: ContainmentReport } | undefined;
  return async () => {
    const now = report();
    if (now.generation === 0) return now;
    if (last?.report === now) return last.signed;
    try {
      const signed = await signReport(device.privateKey, self, now);
      last = { report: now, signed };
      return signed;
    } catch (cause) {
      log("error", "containment.report-unsigned", { reason: messageOf(cause) });
      return now;
    }
  };
}
