import { type Hardware, isOtherMachine } from "../../../shared/wire/hardware.ts";
import {
  type DeviceKey,
  type Identity,
  openDeviceKey,
  saveIdentity,
} from "../../identity/device-identity.ts";
import { codeOf } from "../../platform/state-files.ts";
import { COPIED_REMEDY, type Copied, enrolCopy, reportCopy, whyCopied } from "../copied-identity.ts";
import { tokenOf } from "../enrol-host.ts";
import type { Asked } from "../machine.ts";

export type OwnIdentity =
  | { ok: true; identity: Identity; device: DeviceKey; hardware: Hardware | undefined }
  | { ok: false; reason: string };

type Stored = Omit<Copied, "hardware">;

/**
 * Returns the identity and device key of this machine. If the stored identity belongs to another machine (a
 * copied disk), the copy is reported to the control plane. If there is an enrolment token, this machine then
 * enrols itself.
 */
export async function ownIdentity(stored: Stored, texts: Asked["texts"]): Promise<OwnIdentity> {
  const { machine, directory, identity } = stored;
  const device = await openDeviceKey(directory, machine.platform);
  const hardware = await machine.hardware(identity.tenantId);
  if (hardware && isOtherMachine(identity.hardware, hardware))
    return replaceCopy({ ...stored, hardware }, device, texts);
  return { ok: true, identity: withFingerprint(stored, hardware), device, hardware };
}

/**
 * Returns the identity with this machine's fingerprint, and saves a new fingerprint. A fingerprint of the
 * mainboard is not replaced. If the new fingerprint cannot be saved, the next start tries again.
 */
function withFingerprint({ log, directory, identity }: Stored, hardware: Hardware | undefined): Identity {
  const isBoard = identity.hardware !== undefined && identity.hardware.strength !== "machine";
  if (!hardware || isBoard || identity.hardware?.id === hardware.id) return identity;
  const updated = { ...identity, hardware };
  try {
    saveIdentity(directory, updated);
  } catch (cause) {
    log("warn", "fingerprint.not-saved", { reason: codeOf(cause) });
  }
  return updated;
}

/** Reports the copied identity, and then enrols this machine if there is a token. */
async function replaceCopy(copied: Copied, device: DeviceKey, texts: Asked["texts"]): Promise<OwnIdentity> {
  const { machine, log, directory, identity, hardware } = copied;
  const reason = whyCopied(identity, directory);
  log("error", "identity.copied", { asset: identity.assetId, state: directory });
  const token = await tokenOf(machine, texts);
  await reportCopy(copied, device);
  if (!token) return { ok: false, reason: `${reason}. ${COPIED_REMEDY}` };
  const { edgeUrl, employeeId } = identity;
  const enrolled = await enrolCopy(copied, { edgeUrl, token, employeeId });
  if (!enrolled.ok) return { ok: false, reason: `${reason}, and it could not enrol: ${enrolled.reason}` };
  const own = await openDeviceKey(directory, machine.platform);
  return { ok: true, identity: enrolled.identity, device: own, hardware };
}
