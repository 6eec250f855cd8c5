import { siteOrigin } from "../../http/public-origin.ts";
import type { DashboardDeps } from "../deps.ts";

const PATH_CHARACTERS_MAX = 512;
const UNUSED_ORIGIN = "https://return.invalid";

/**
 * Returns the path and query to open after sign-in, or `/` if `wanted` could lead to another site. Rejects
 * `//host`, `/\host`, URL schemes, white space and control characters (browsers drop tabs and line breaks in
 * URLs).
 */
export function returnPath(wanted: string | undefined): string {
  if (!wanted || wanted.length > PATH_CHARACTERS_MAX) return "/";
  if (!/^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(wanted)) return "/";
  const url = URL.canParse(wanted, UNUSED_ORIGIN) ? new URL(wanted, UNUSED_ORIGIN) : undefined;
  if (url?.origin !== UNUSED_ORIGIN || url.pathname.startsWith("//")) return "/";
  if (url.pathname === "/sign-in" || url.pathname === "/sign-out") return "/";
  return url.pathname + url.search;
}

/**
 * Returns the page that contains the form with this action. Examples: `/assets/A` for `/assets/A/isolate`,
 * and `/approvals` for the approval forms.
 */
export function pageOfForm(path: string): string {
  const parts = path.replace(/\?.*$/, "").split("/").slice(1);
  if (parts.length < 2) return `/${parts[0] ?? ""}`;
  return `/${(parts[0] === "approvals" ? parts.slice(0, 1) : parts.slice(0, -1)).join("/")}`;
}

/** URL of the identity provider's sign-in page. After sign-in, the provider redirects to `path` on this site. */
export function signInAddress(
  request: Request,
  path: string,
  deps: Pick<DashboardDeps, "admin" | "publicOrigin">,
): string {
  const address = new URL(deps.admin.signInUrl);
  address.searchParams.set("redirect_url", new URL(path, siteOrigin(request, deps)).href);
  return address.href;
}
