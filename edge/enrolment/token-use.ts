import { marshalItem, values } from "../../shared/table/dynamo.ts";
import type { EnrolmentItem } from "../../shared/table/items/enrolment.ts";
import { enrolledKey, enrolmentKey } from "../../shared/table/keys.ts";
import type { EnrolmentClaims, EnrolmentRequest } from "../../shared/wire/enrolment.ts";

/** Verified claims of an enrolment token. `exp` is in seconds. */
export type Claims = EnrolmentClaims & { exp: number };

/**
 * Table writes that count one use of a token. The first write increases the token's use count, and fails if
 * the token was used or revoked since it was read. The second write stores the device.
 */
export function tokenUse(
  claims: Claims,
  body: EnrolmentRequest,
  assetId: string,
  token: EnrolmentItem | undefined,
  table: string,
) {
  const { tenant: tenantId, jti, exp } = claims;
  const expiresAt = exp + 24 * 3600;
  const used: EnrolmentItem = {
    type: "Enrolment",
    tenantId,
    jti,
    expiresAt,
    ...token,
    uses: (token?.uses ?? 0) + 1,
  };
  const enrolled = { type: "Enrolled", tenantId, assetId, expiresAt };
  return [
    {
      Put: {
        TableName: table,
        Item: marshalItem({ ...enrolmentKey(tenantId, jti), ...used }),
        ConditionExpression: token
          ? "uses = :uses AND attribute_not_exists(revokedAt)"
          : "attribute_not_exists(PK)",
        ...(token && { ExpressionAttributeValues: values({ uses: token.uses }) }),
      },
    },
    {
      Put: {
        TableName: table,
        Item: marshalItem({ ...enrolledKey(tenantId, jti, body.deviceKey), ...enrolled }),
        ConditionExpression: "attribute_not_exists(PK)",
      },
    },
  ];
}
