import type { Hardware } from "../../shared/wire/hardware.ts";
import { forgetContainment } from "../contain/state/containment-file.ts";
import { containedIn, whyContained } from "../contain/state/containment-state.ts";
import {
  type DeviceKey,
  deviceSigner,
  forgetNewKey,
  type Identity,
  newKeyFor,
  saveIdentity,
} from "../identity/device-identity.ts";
import { isStale, sessionBody } from "../identity/session.ts";
import { createControlClock } from "../network/control-clock.ts";
import { createPost } from "../network/control-plane-client.ts";
import { isMalformed } from "../network/older-edge.ts";
import type { Network } from "../network/outbound-network.ts";
import type { Log } from "../platform/log.ts";
import { forgetSpool } from "../report/spool.ts";
import { enrolHost, type HostEnrolled } from "./enrol-host.ts";
import { factsOf } from "./facts.ts";
import type { Machine } from "./machine.ts";

/** A state directory that contains the identity of another machine, because the disk or the directory was copied. */
export type Copied = {
  machine: Machine;
  network: Network;
  log: Log;
  directory: string;
  /** The other machine's identity. */
  identity: Identity;
  /** The fingerprint of this machine. */
  hardware: Hardware;
};

export const whyCopied = (identity: Pick<Identity, "assetId">, directory: string): string =>
  `the identity in ${directory} belongs to another machine (asset ${identity.assetId}): this disk was copied`;

export const COPIED_REMEDY =
  "Enrol this machine with lz-agent enroll, or start lz-agent run with --token-file so that it enrols itself. " +
  "If this is an image for other machines, remove the state directory";

/**
 * Reports to the control plane that a copy of this identity exists. The report is a session request, which
 * the control plane rejects. This function ignores the response.
 */
export async function reportCopy(copied: Copied, device: DeviceKey): Promise<void> {
  const { machine, network, log, identity, hardware } = copied;
  const { clock, elapsed, platform, stopping } = machine;
  const control = createControlClock({ clock, elapsed, log });
  const { edgeUrl } = identity;
  const post = createPost({ edgeUrl, fetch: network.fetch, clock: control, wallClock: clock });
  const { hostname } = factsOf({ platform }).host;
  const body = JSON.stringify({ ...sessionBody(hardware), copiedTo: hostname });
  const send = () => post.send("session", body, deviceSigner(device, identity), stopping);
  let answer = await send();
  if (isStale(answer) && post.correctClock()) answer = await send();
  // Do not retry without the newer members, because such a request would open a session as the other machine.
  if (isMalformed(answer)) log("warn", "copy.not-reported");
}

/** Enrols this machine as a new asset with a new device key, and deletes the other machine's files. */
export async function enrolCopy(
  { machine, network, log, directory, identity, hardware }: Copied,
  as: { edgeUrl: string; token: string; employeeId: string },
): Promise<HostEnrolled> {
  // The isolation rules may also be in force on this machine. Only a directive or code for the old asset
  // releases them.
  const contained = containedIn(directory);
  if (contained) return { ok: false, reason: `${whyContained(contained)}: release it first` };
  const device = await newKeyFor(directory, hardware);
  const enrolled = await enrolHost({ machine, network, log, device, ...as });
  if (!enrolled.ok) return enrolled;
  forgetSpool(directory);
  forgetContainment(directory);
  saveIdentity(directory, enrolled.identity);
  forgetNewKey(directory);
  log("info", "asset.enrolled", {
    asset: enrolled.identity.assetId,
    copyOf: identity.assetId,
  });
  return enrolled;
}
