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
/** Enrolling again makes a new asset, so restoring the file is better where there is a backup. */
const IDENTITY_REMEDY = "restore it from a backup, or remove it and run lz-agent enroll with a new token";
/** The control plane knows the old key only. */
const KEY_REMEDY = "restore it from a backup, or remove it and run lz-agent enroll --force with a new token";

/** Ed25519 private key (RFC 8037 §2). It is made on this host and never leaves it. */
const deviceKeyFile = z.strictObject({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  x: deviceKey,
  d: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
});

/** Who this host is to the control plane, and which keys may give it orders. */
export const identity = enrolmentAnswer.omit({ signedSettings: true }).extend({
  v: z.literal(1),
  edgeUrl: z.url(),
  employeeId,
  /** Version of `settings`, which the control key signed. Absent: none were verified, and the defaults are in use. */
  settingsVersion: z.int().positive().optional(),
  /** The set that `jwks` came from when a control key was rotated after enrolment. */
  keySet: z.object({ issuedAtSeconds: z.int(), sha256: z.string() }).optional(),
  /** Fingerprint of the machine that enrolled, or that ran the first agent that knows fingerprints. */
  hardware: hardware.optional(),
});
export type Identity = z.infer<typeof identity>;

export type DeviceKey = { x: string; privateKey: CryptoKey };

/**
 * The device key of this host, made on first use and kept: a lost answer of the enrolment is asked for again
 * with the same key. Throws {@link StateFault} when others can read it or it is damaged.
 */
export async function openDeviceKey(directory: string, platform: NodeJS.Platform): Promise<DeviceKey> {
  const stored = readState(directory, DEVICE_KEY_FILE, deviceKeyFile, KEY_REMEDY);
  const path = join(directory, DEVICE_KEY_FILE);
  if (!stored) return makeDeviceKey(directory);
  requireOwnerOnly(path, platform);
  try {
    return { x: stored.x, privateKey: await importPrivate(stored) };
  } catch (cause) {
    throw new StateFault(`${path} holds no usable key: ${KEY_REMEDY}`, { cause });
  }
}

const NEW_KEY_FILE = "new-key.json";
const newKeyFile = z.strictObject({ hardware: z.string(), x: deviceKey });

/**
 * A device key that was made on this machine, in place of one that was copied here. The same one until
 * {@link forgetNewKey}: a lost answer of the enrolment is asked for again with it.
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

/** The public half of the key that is there, to compare with what this host signed; makes none. */
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

/** Signs the enrolment: the key names itself, since the host has no other name yet. */
export const enrolmentSigner = (device: DeviceKey): Signer => ({
  keyid: device.x,
  algorithm: "ed25519",
  key: device.privateKey,
});

/** Signs the session request in the name of the asset. */
export const deviceSigner = (device: DeviceKey, self: Pick<Identity, "tenantId" | "assetId">): Signer => ({
  keyid: deviceKeyid(self.tenantId, self.assetId),
  algorithm: "ed25519",
  key: device.privateKey,
});

export function loadIdentity(directory: string): Identity | undefined {
  const stored = readState(directory, IDENTITY_FILE, identity, IDENTITY_REMEDY);
  // An agent from before settings were signed kept whatever its control plane said.
  const isVerified = stored?.settingsVersion !== undefined;
  return stored && !isVerified ? { ...stored, settings: AGENT_SETTINGS_DEFAULT } : stored;
}

export const saveIdentity = (directory: string, value: Identity): void =>
  writeState(directory, IDENTITY_FILE, value);

/** Numbers handed out between two writes of the file: one fsync per block instead of one per heartbeat. */
export const SEQUENCE_BLOCK = 1000;

const sequenceFile = z.strictObject({ next: z.int().min(0).max(Number.MAX_SAFE_INTEGER) });

export type Sequence = {
  /** A number this asset has never used, larger than all before. */
  next: () => number;
  /** Gives back the unused rest of the block. A crash skips it instead. */
  close: () => void;
};

/**
 * `atLeast` is above every number known to be used (the spool's). With the file lost, numbers continue from the
 * epoch second, and from 2025 with a clock of before: an agent that sends at most one heartbeat a second never got that far by counting from 0.
 */
export function openSequence(directory: string, atLeast: number, deps: { clock: Clock; log: Log }): Sequence {
  let next = Math.max(atLeast, readNext(directory, deps));
  let reservedTo = next;
  let isFailing = false;
  /** On a full disk numbers go on unreserved: after a crash some may come twice, but never with the same time. */
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

/** Short name of a public key for people to compare: the first 12 bytes of its SHA-256, base64url. */
export async function fingerprintOf(x: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(x));
  return base64url(new Uint8Array(digest).subarray(0, 12));
}
