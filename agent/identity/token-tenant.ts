import { decodeJwt } from "jose";
import { tenantId } from "../../shared/ids.ts";

/** The tenant that an enrolment token names; undefined for what is no token. The control plane verifies the token. */
export function tenantOfToken(token: string): string | undefined {
  try {
    const parsed = tenantId.safeParse(decodeJwt(token).tenant);
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
