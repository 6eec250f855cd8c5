import { z } from "zod";
import { assetId, employeeId, tenantId } from "../ids.ts";
import { agentSettings } from "./agent-settings.ts";
import { hardware } from "./hardware.ts";
import { text } from "./text.ts";

/** x coordinate of an Ed25519 public key of 32 bytes, in base64url (RFC 8037 §2). */
export const deviceKey = z.string().regex(/^[A-Za-z0-9_-]{43}$/);

/** Body of `POST /v1/enroll`. It is signed with the device key that it contains (proof of possession). */
export const enrolmentRequest = z.strictObject({
  token: z.string().min(1).max(2048),
  deviceKey,
  employeeId,
  host: z.strictObject({ hostname: text(253), os: text(120), arch: text(20), agentVersion: text(40) }),
  /**
   * Fingerprint of the machine. Absent if the machine has no usable identifier, or if the agent is too old to
   * send it.
   */
  hardware: hardware.optional(),
});
export type EnrolmentRequest = z.infer<typeof enrolmentRequest>;

/** Unsigned settings for agents that do not know {@link signedSettings}. Newer agents ignore them. */
const plainSettings = { settings: agentSettings };
/** Settings signed with the control key (agent-settings.ts). Absent if no administrator has configured the tenant. */
const signedSettings = { signedSettings: z.string().max(4096).optional() };

export const enrolmentAnswer = z.object({
  tenantId,
  assetId,
  /** Public keys of the control plane. The agent pins them, so that only these keys can sign a directive. */
  jwks: z.object({
    keys: z
      .array(
        z.object({ kty: z.literal("OKP"), crv: z.literal("Ed25519"), kid: z.string().min(1), x: deviceKey }),
      )
      .min(1)
      .max(8),
  }),
  ...plainSettings,
  ...signedSettings,
});
export type EnrolmentAnswer = z.infer<typeof enrolmentAnswer>;

/** Body of `POST /v1/session`, signed with the device key. `keyid` contains the tenant and the asset. */
export const sessionRequest = z.strictObject({
  agentVersion: text(40),
  hardware: hardware.optional(),
  /** Hostname of the machine. Only sent by a machine that found the identity of another machine on its disk. */
  copiedTo: text(253).optional(),
});
export type SessionRequest = z.infer<typeof sessionRequest>;

/** Lifetime of a session in seconds. */
export const SESSION_SECONDS = 3600;

export const sessionAnswer = z.object({
  keyid: z.string().min(1).max(256),
  /** Session key of 256 bits, in base64url. */
  key: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  expiresAtSeconds: z.int().positive(),
  ...plainSettings,
  ...signedSettings,
  /** New control keys, signed with a key that the agent has pinned (key-set.ts). Absent if there is no rotation. */
  keySet: z.string().max(8192).optional(),
});
export type SessionAnswer = z.infer<typeof sessionAnswer>;

/**
 * Claims of an enrolment token. The maximum number of uses, the tenant and the expiry are signed. `jti`
 * identifies the use count.
 */
export const enrolmentClaims = z.object({
  tenant: tenantId,
  jti: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
  uses: z.int().min(1).max(100_000),
  /** Asset that gets a new device key with this token. Absent if the token enrols a new asset. */
  asset: assetId.optional(),
});
export type EnrolmentClaims = z.infer<typeof enrolmentClaims>;
