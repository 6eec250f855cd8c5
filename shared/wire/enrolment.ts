import { z } from "zod";
import { assetId, employeeId, tenantId } from "../ids.ts";
import { agentSettings } from "./agent-settings.ts";
import { hardware } from "./hardware.ts";
import { text } from "./text.ts";

/** x coordinate of an Ed25519 public key, base64url (RFC 8037 §2): 32 bytes. */
export const deviceKey = z.string().regex(/^[A-Za-z0-9_-]{43}$/);

/** Body of `POST /v1/enroll`, signed with the device key it carries: proof of possession. */
export const enrolmentRequest = z.strictObject({
  token: z.string().min(1).max(2048),
  deviceKey,
  employeeId,
  host: z.strictObject({ hostname: text(253), os: text(120), arch: text(20), agentVersion: text(40) }),
  /** Absent: nothing identifies the machine, or the agent is older than this member. */
  hardware: hardware.optional(),
});
export type EnrolmentRequest = z.infer<typeof enrolmentRequest>;

/** Settings in plain, for agents from before {@link signedSettings}; those that know it ignore them. */
const plainSettings = { settings: agentSettings };
/** Settings as the control key signed them: see agent-settings.ts. Absent while no admin has configured the tenant. */
const signedSettings = { signedSettings: z.string().max(4096).optional() };

export const enrolmentAnswer = z.object({
  tenantId,
  assetId,
  /** The control plane's public keys. The agent pins them: only they can sign a directive. */
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

/** Body of `POST /v1/session`, signed with the device key; `keyid` names tenant and asset. */
export const sessionRequest = z.strictObject({
  agentVersion: text(40),
  hardware: hardware.optional(),
  /** Of a machine that found the identity of another one on its disk, and reports that. */
  copiedTo: text(253).optional(),
});
export type SessionRequest = z.infer<typeof sessionRequest>;

/** How long a session lives. */
export const SESSION_SECONDS = 3600;

export const sessionAnswer = z.object({
  keyid: z.string().min(1).max(256),
  /** 256 bits, base64url. */
  key: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  expiresAtSeconds: z.int().positive(),
  ...plainSettings,
  ...signedSettings,
  /** New control keys, signed by one the agent has pinned: see key-set.ts. */
  keySet: z.string().max(8192).optional(),
});
export type SessionAnswer = z.infer<typeof sessionAnswer>;

/** `use_by` limit, tenant and expiry are signed; `jti` counts the uses. */
export const enrolmentClaims = z.object({
  tenant: tenantId,
  jti: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
  uses: z.int().min(1).max(100_000),
  /** The token gives this asset a new device key, and makes no new asset. */
  asset: assetId.optional(),
});
export type EnrolmentClaims = z.infer<typeof enrolmentClaims>;
