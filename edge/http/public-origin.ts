import { z } from "zod";

const LOOPBACK = /^(?:localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

function originFault(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) return "expected an origin such as https://lz.example.com";
  if (!/^(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])$/.test(url.hostname))
    return "its host is neither a name nor an address";
  if (url.port === "0") return "port 0 cannot be reached";
  // `URL.origin` drops a path, a query and a user name: none of them may be silently ignored.
  if (
    text
      .toLowerCase()
      .replace(/\/$/, "")
      .replace(/:(?:443|80)$/, "") !== url.origin.replace(/:(?:443|80)$/, "")
  )
    return "expected scheme, host and port only, in their usual spelling";
  if (url.protocol === "http:" && !LOOPBACK.test(url.hostname))
    return "http is for loopback addresses only: browsers send session cookies over https";
  return undefined;
}

/** Origin as a browser writes it in `Origin`. */
export const publicOrigin = z.string().transform((text, context) => {
  const fault = originFault(text);
  if (fault === undefined) return new URL(text).origin;
  context.addIssue({ code: "custom", message: fault });
  return z.NEVER;
});

/** What `LZ_PUBLIC_ORIGIN` says, and the origins that may sign people in. */
type Site = { publicOrigin?: string; admin: { parties: readonly string[] } };

/**
 * Origin at which people and agents reach this site: redirects, commands and links use it. Without
 * `LZ_PUBLIC_ORIGIN` it is the request's own when that is an authorised party, else the first party: a forged Host
 * header must not become a place people or agents are sent to.
 */
export function siteOrigin(request: Request, { publicOrigin, admin: { parties } }: Site): string {
  if (publicOrigin !== undefined) return publicOrigin;
  const { origin } = new URL(request.url);
  return parties.includes(origin) ? origin : (parties[0] ?? origin);
}

/** Whether the browser's side of the connection is https. Behind a proxy that ends TLS, the request's URL says http. */
export const isSecure = (request: Request, { publicOrigin }: Pick<Site, "publicOrigin">): boolean =>
  (publicOrigin ?? request.url).startsWith("https:");
