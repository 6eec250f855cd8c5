import type { Deps } from "../../deps.ts";
import { siteOrigin } from "../../http/public-origin.ts";

const PATH_CHARACTERS_MAX = 512;
const NOWHERE = "https://return.invalid";

/**
 * A path of this very site to come back to, or `/`. Everything a browser could read as another site is refused:
 * `//host`, `/\host`, a scheme, white space and controls (browsers drop tabs and line breaks inside a URL).
 */
export function returnPath(wanted: string | undefined): string {
  if (!wanted || wanted.length > PATH_CHARACTERS_MAX) return "/";
  if (!/^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(wanted)) return "/";
  const url = URL.canParse(wanted, NOWHERE) ? new URL(wanted, NOWHERE) : undefined;
  if (url?.origin !== NOWHERE || url.pathname.startsWith("//")) return "/";
  if (url.pathname === "/sign-in" || url.pathname === "/sign-out") return "/";
  return url.pathname + url.search;
}

/** The page a form was on: `/assets/A/isolate` was sent from `/assets/A`, and every approval from the list of them. */
export function formPlace(path: string): string {
  const parts = path.replace(/\?.*$/, "").split("/").slice(1);
  if (parts.length < 2) return `/${parts[0] ?? ""}`;
  return `/${(parts[0] === "approvals" ? parts.slice(0, 1) : parts.slice(0, -1)).join("/")}`;
}

/** The identity provider's page, with `path` on this site to come back to. */
export function signInAddress(
  request: Request,
  path: string,
  deps: Pick<Deps, "admin" | "publicOrigin">,
): string {
  const address = new URL(deps.admin.signInUrl);
  address.searchParams.set("redirect_url", new URL(path, siteOrigin(request, deps)).href);
  return address.href;
}
