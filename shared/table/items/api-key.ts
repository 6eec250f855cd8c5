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
  /** Scopes of the key. Absent: the key has all permissions of its role. */
  scopes: z.array(slug).max(16).optional(),
  /** SHA-256 of the secret in hex. */
  secretHash: z.string().regex(/^[0-9a-f]{64}$/),
  createdAt: isoTimestamp,
  createdBy: text(200),
  validUntil: isoTimestamp,
  revokedAt: isoTimestamp.optional(),
  /**
   * Time of the last use, stored at most once per hour, so that a key in use is not written with every
   * request. Absent: never used.
   */
  lastUsedAt: isoTimestamp.optional(),
  expiresAt: z.int(),
});
export type ApiKeyItem = z.infer<typeof apiKeyItem>;
