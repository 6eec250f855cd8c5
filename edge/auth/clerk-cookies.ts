/**
 * Suffix of Clerk's cookie names. Where several applications share a domain, the name is `__session_<suffix>`
 * instead of `__session`. The suffix is the start of a base64url digest of the publishable key
 * (`getCookieSuffix` in @clerk/shared), so it can contain `-` and `_`.
 */
const SUFFIX = "(?:_[A-Za-z0-9_-]{1,32})?";
/**
 * Maximum number of values read for one cookie name. Other sites on the same domain can add cookies with this
 * name.
 */
const VALUES_MAX = 8;

/** Values of a Clerk cookie. The value of the cookie without a suffix comes first. */
export function clerkCookies(request: Request, name: string): string[] {
  const header = request.headers.get("cookie") ?? "";
  const found = [...header.matchAll(new RegExp(`(?:^|; )(${name}${SUFFIX})=([^;]*)`, "g"))];
  const plainFirst = found.toSorted((a, b) => Number(b[1] === name) - Number(a[1] === name));
  return plainFirst.slice(0, VALUES_MAX).map(([, , value]) => value!);
}

/** Value of a `Set-Cookie` directive from a handshake. Undefined if the directive is for another cookie. */
export const directiveValue = (directive: string, name: string): string | undefined =>
  new RegExp(`^${name}${SUFFIX}=([A-Za-z0-9._-]{1,8192})(?:;|$)`).exec(directive)?.[1];
