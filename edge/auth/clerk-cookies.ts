/**
 * Clerk's cookies have two names: `__session`, and `__session_<suffix>` where several applications share a domain. The
 * suffix is the start of a base64url digest of the publishable key (`getCookieSuffix` in @clerk/shared), so it may hold
 * `-` and `_`.
 */
const SUFFIX = "(?:_[A-Za-z0-9_-]{1,32})?";
/** Values looked at: anyone who may set cookies for the domain adds some. */
const VALUES_MAX = 8;

/** Values of a Clerk cookie, the name without a suffix first. */
export function clerkCookies(request: Request, name: string): string[] {
  const header = request.headers.get("cookie") ?? "";
  const found = [...header.matchAll(new RegExp(`(?:^|; )(${name}${SUFFIX})=([^;]*)`, "g"))];
  const plainFirst = found.toSorted((a, b) => Number(b[1] === name) - Number(a[1] === name));
  return plainFirst.slice(0, VALUES_MAX).map(([, , value]) => value!);
}

/** Name and value of a `Set-Cookie` directive of a handshake, when it is for this Clerk cookie. */
export const directiveValue = (directive: string, name: string): string | undefined =>
  new RegExp(`^${name}${SUFFIX}=([A-Za-z0-9._-]{1,8192})(?:;|$)`).exec(directive)?.[1];
