import { z } from "zod";
import { assetId, slug, tenantId } from "../../ids.ts";
import { isoTimestamp, text } from "../../wire/text.ts";

/** An API key. Its secret is not stored. */
export const apiKeyItem = z.object({
  type: z.literal("ApiKey"),
  tenantId,
  keyId: assetId,
  name: text(120),
  role: z.enum(["viewer", "analyst", "responder", "admin"]),
  /** Scopes of the key. Absent: everything that the role allows. */
  scopes: z.array(slug).max(16).optional(),
  /** SHA-256 of the secret, hex. */
  secretHash: z.string().regex(/^[0-9a-f]{64}$/),
  createdAt: isoTimestamp,
  createdBy: text(200),
  validUntil: isoTimestamp,
  revokedAt: isoTimestamp.optional(),
  /** Rounded to the hour, so that a key in use is not written at every request. */
  lastUsedAt: isoTimestamp.optional(),
  expiresAt: z.int(),
});
export type ApiKeyItem = z.infer<typeof apiKeyItem>;
