import { decodeJwt } from "jose";
import { tenantId } from "../../shared/ids.ts";

/**
 * Tenant id in an enrolment token. Undefined if the text is not a token. The signature is not checked,
 * because only the control plane can verify the token.
 */
export function tenantOfToken(token: string): string | undefined {
  try {
    const parsed = tenantId.safeParse(decodeJwt(token).tenant);
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
