/**
 * Suffix of Clerk's cookie names: `__session_<suffix>` instead of `__session` where several applications share a domain.
 * The suffix is the start of a base64url digest of the publishable key (`getCookieSuffix` in @clerk/shared), so it can
 * contain `-` and `_`.
 */
const SUFFIX = "(?:_[A-Za-z0-9_-]{1,32})?";
/** Values that are read. Other sites on the same domain can add cookies with this name. */
const VALUES_MAX = 8;

/** Values of a Clerk cookie, starting with the name without suffix. */
export function clerkCookies(request: Request, name: string): string[] {
  const header = request.headers.get("cookie") ?? "";
  const found = [...header.matchAll(new RegExp(`(?:^|; )(${name}${SUFFIX})=([^;]*)`, "g"))];
  const plainFirst = found.toSorted((a, b) => Number(b[1] === name) - Number(a[1] === name));
  return plainFirst.slice(0, VALUES_MAX).map(([, , value]) => value!);
}

/** Value of a `Set-Cookie` directive from a handshake. Undefined if the directive is for another cookie. */
export const directiveValue = (directive: string, name: string): string | undefined =>
  new RegExp(`^${name}${SUFFIX}=([A-Za-z0-9._-]{1,8192})(?:;|$)`).exec(directive)?.[1];
