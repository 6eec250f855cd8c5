import { z } from "zod";
import { assetId } from "../../../shared/ids.ts";
import { apiKeyItem } from "../../../shared/table/items/api-key.ts";
import { isoTimestamp } from "../../../shared/wire/text.ts";
import { keyId } from "../../auth/authenticate-api-key.ts";
import { PERMISSIONS } from "../../auth/permissions.ts";
import { named } from "../named-schema.ts";

const recorded = { createdAt: isoTimestamp, createdBy: z.string(), validUntil: isoTimestamp };

export const enrolmentTokenView = named(
  "EnrolmentToken",
  z.object({
    tokenId: keyId,
    uses: z.int(),
    used: z.int(),
    ...recorded,
    assetId: assetId.optional().meta({
      description:
        "Asset whose device key is replaced with this token. Absent if the token enrols new assets.",
    }),
    status: z.enum(["valid", "used-up", "expired", "revoked"]),
    revokedAt: isoTimestamp.optional(),
  }),
);

export type EnrolmentTokenView = z.infer<typeof enrolmentTokenView>;

export const madeTokenView = named(
  "NewEnrolmentToken",
  z.object({ token: z.string(), tokenId: keyId, expiresAt: isoTimestamp, uses: z.int() }),
);

export const apiKeyView = named(
  "ApiKey",
  apiKeyItem.omit({ type: true, tenantId: true, secretHash: true, expiresAt: true }).extend({
    scopes: z.array(z.enum(PERMISSIONS)).optional(),
    status: z.enum(["valid", "expired", "revoked"]),
  }),
);

export type ApiKeyView = z.infer<typeof apiKeyView>;

export const madeKeyView = named(
  "NewApiKey",
  z.object({
    key: z.string().optional().meta({
      description:
        "The API key. Only the first response contains it. The response to a repeated request does not.",
    }),
    apiKey: apiKeyView,
  }),
);
