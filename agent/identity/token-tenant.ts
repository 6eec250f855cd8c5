import { decodeJwt } from "jose";
import { tenantId } from "../../shared/ids.ts";

/**
 * Tenant id in an enrolment token. Undefined if the text is not a token. Only the control plane verifies the
 * token.
 */
export function tenantOfToken(token: string): string | undefined {
  try {
    const parsed = tenantId.safeParse(decodeJwt(token).tenant);
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
