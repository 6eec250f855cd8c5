import { join } from "node:path";
import { z } from "zod";
import { base64url } from "../../shared/encoding/bytes.ts";
import { employeeId } from "../../shared/ids.ts";
import type { Clock } from "../../shared/time/clock.ts";
import { AGENT_SETTINGS_DEFAULT } from "../../shared/wire/agent-settings.ts";
import { deviceKey, enrolmentAnswer } from "../../shared/wire/enrolment.ts";
import { type Hardware, hardware } from "../../shared/wire/hardware.ts";
import { deviceKeyid } from "../../shared/wire/keyid.ts";
import type { Signer } from "../../shared/wire/signature.ts";
import { EARLIEST_MS } from "../network/control-clock.ts";
import type { Log } from "../platform/log.ts";
import {
  codeOf,
  readState,
  removeIfPossible,
  requireOwnerOnly,
  StateFault,
  writeState,
} from "../platform/state-files.ts";

const DEVICE_KEY_FILE = "device-key.json";
const IDENTITY_FILE = "identity.json";
const SEQUENCE_FILE = "sequence.json";
/** Remedy for a damaged identity file. It prefers a backup, because a new enrolment creates a new asset. */
const IDENTITY_REMEDY = "restore it from a backup, or remove it and run lz-agent enroll with a new token";
/** Remedy for a damaged key file. It includes `--force`, because the control plane knows only the old key. */
const KEY_REMEDY = "restore it from a backup, or remove it and run lz-agent enroll --force with a new token";

/** Ed25519 private key (RFC 8037 §2). It is created on this host and never sent. */
const deviceKeyFile = z.strictObject({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  x: deviceKey,
  d: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
});

/** The identity of this host in the control plane, and the control keys that can sign directives for this host. */
const identity = enrolmentAnswer.omit({ signedSettings: true }).extend({
  v: z.literal(1),
  edgeUrl: z.url(),
  employeeId,
  /** Version of the signed `settings`. Absent if no settings were verified and the defaults are in use. */
  settingsVersion: z.int().positive().optional(),
  /** The signed key set that `jwks` came from. Absent if no control key was rotated after enrolment. */
  keySet: z.object({ issuedAtSeconds: z.int(), sha256: z.string() }).optional(),
  /**
   * Fingerprint of the machine that enrolled. Absent if an agent from before fingerprints enrolled this host.
   * A newer agent then adds it.
   */
  hardware: hardware.optional(),
});
export type Identity = z.infer<typeof identity>;

export type DeviceKey = { x: string; privateKey: CryptoKey };

/**
 * Opens the device key of this host. The key is created on first use and stored. So if the response to an
 * enrolment is lost, the enrolment is repeated with the same key. Throws {@link StateFault} if the file is
 * damaged or other users can read it.
 */
export async function openDeviceKey(directory: string, platform: NodeJS.Platform): Promise<DeviceKey> {
  const stored = readState(directory, DEVICE_KEY_FILE, deviceKeyFile, KEY_REMEDY);
  const path = join(directory, DEVICE_KEY_FILE);
  if (!stored) return makeDeviceKey(directory);
  requireOwnerOnly(path, platform);
  try {
    return { x: stored.x, privateKey: await importPrivate(stored) };
  } catch (cause) {
    throw new StateFault(`${path} contains no usable key: ${KEY_REMEDY}`, { cause });
  }
}

const NEW_KEY_FILE = "new-key.json";
const newKeyFile = z.strictObject({ hardware: z.string(), x: deviceKey });

/**
 * A new device key created on this machine, which replaces a key from a copied disk. The new key is stored
 * until {@link forgetNewKey}. So if the response to an enrolment is lost, the enrolment is repeated with the
 * same key.
 */
export async function newKeyFor(directory: string, { id }: Hardware): Promise<DeviceKey> {
  const made = readState(directory, NEW_KEY_FILE, newKeyFile);
  const stored = readState(directory, DEVICE_KEY_FILE, deviceKeyFile, KEY_REMEDY);
  if (stored && made?.hardware === id && made.x === stored.x)
    return { x: stored.x, privateKey: await importPrivate(stored) };
  const device = await makeDeviceKey(directory);
  writeState(directory, NEW_KEY_FILE, { hardware: id, x: device.x });
  return device;
}

export const forgetNewKey = (directory: string): void => removeIfPossible(join(directory, NEW_KEY_FILE));

/** The public half of the stored device key, for comparison with signatures of this host. Does not create a key. */
export const readPublicKey = (directory: string): string | undefined =>
  readState(directory, DEVICE_KEY_FILE, deviceKeyFile, KEY_REMEDY)?.x;

async function makeDeviceKey(directory: string): Promise<DeviceKey> {
  const pair = (await crypto.subtle.generateKey({ name: "Ed25519" }, true, [
    "sign",
    "verify",
  ])) as CryptoKeyPair;
  const jwk = await crypto.subtle.exportKey("jwk", pair.privateKey);
  const stored = deviceKeyFile.parse({ kty: jwk.kty, crv: jwk.crv, x: jwk.x, d: jwk.d });
  writeState(directory, DEVICE_KEY_FILE, stored);
  return { x: stored.x, privateKey: await importPrivate(stored) };
}

const importPrivate = (stored: z.infer<typeof deviceKeyFile>): Promise<CryptoKey> =>
  crypto.subtle.importKey("jwk", stored, { name: "Ed25519" }, false, ["sign"]);

/** Signer for the enrolment request. The key id is the public key itself, because the host has no asset id yet. */
export const enrolmentSigner = (device: DeviceKey): Signer => ({
  keyid: device.x,
  algorithm: "ed25519",
  key: device.privateKey,
});

/** Signer for session requests and containment reports. The key id contains the tenant and the asset. */
export const deviceSigner = (device: DeviceKey, self: Pick<Identity, "tenantId" | "assetId">): Signer => ({
  keyid: deviceKeyid(self.tenantId, self.assetId),
  algorithm: "ed25519",
  key: device.privateKey,
});

export function loadIdentity(directory: string): Identity | undefined {
  const stored = readState(directory, IDENTITY_FILE, identity, IDENTITY_REMEDY);
  // Older agents stored unverified settings, because settings were not signed then.
  const isVerified = stored?.settingsVersion !== undefined;
  return stored && !isVerified ? { ...stored, settings: AGENT_SETTINGS_DEFAULT } : stored;
}

export const saveIdentity = (directory: string, value: Identity): void =>
  writeState(directory, IDENTITY_FILE, value);

/**
 * Number of sequence numbers that one write of the file reserves. It reduces the number of fsync calls from
 * one per heartbeat to one per block.
 */
export const SEQUENCE_BLOCK = 1000;

const sequenceFile = z.strictObject({ next: z.int().min(0).max(Number.MAX_SAFE_INTEGER) });

export type Sequence = {
  /** Returns a number that is larger than all numbers that this asset has used. */
  next: () => number;
  /** Returns the unused numbers of the block to the file. After a crash, these numbers are skipped. */
  close: () => void;
};

/**
 * Opens the sequence of this asset. If its file is lost, numbers continue from the current epoch second, or
 * from 2025 if the clock is earlier. This number is always unused, because an agent that sends at most one
 * heartbeat per second cannot have counted that far from 0.
 *
 * @param atLeast a number larger than all numbers that are known to be used, such as those in the spool
 */
export function openSequence(directory: string, atLeast: number, deps: { clock: Clock; log: Log }): Sequence {
  let next = Math.max(atLeast, readNext(directory, deps));
  let reservedTo = next;
  let isFailing = false;
  /**
   * If the disk is full, numbers continue without a reservation. After a crash, some numbers can then be used
   * again, but with a different time.
   */
  function reserve(value: number): void {
    try {
      writeState(directory, SEQUENCE_FILE, { next: value });
      reservedTo = value;
      isFailing = false;
    } catch (cause) {
      if (!isFailing) deps.log("error", "sequence.not-saved", { reason: codeOf(cause) });
      isFailing = true;
    }
  }
  return {
    next: () => {
      if (next >= reservedTo) reserve(next + SEQUENCE_BLOCK);
      return next++;
    },
    close: () => reserve(next),
  };
}

function readNext(directory: string, deps: { clock: Clock; log: Log }): number {
  const resumed = Math.floor(Math.max(deps.clock(), EARLIEST_MS) / 1000);
  try {
    const stored = readState(directory, SEQUENCE_FILE, sequenceFile);
    return stored?.next ?? resumed;
  } catch (cause) {
    if (!(cause instanceof StateFault)) throw cause;
    deps.log("warn", "sequence.damaged", { sequence: resumed });
    return resumed;
  }
}

/** Short fingerprint of a public key that people can compare: the first 12 bytes of its SHA-256 as base64url. */
export async function fingerprintOf(x: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(x));
  return base64url(new Uint8Array(digest).subarray(0, 12));
}
