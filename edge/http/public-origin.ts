import { z } from "zod";

const LOOPBACK = /^(?:localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

function originFault(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) return "expected an origin such as https://lz.example.com";
  if (!/^(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])$/.test(url.hostname))
    return "expected a host name or an IP address as host";
  if (url.port === "0") return "expected a port between 1 and 65535";
  // `URL.origin` drops the path, query and user name. Refuse a URL that has any of them instead of ignoring
  // them silently.
  if (
    text
      .toLowerCase()
      .replace(/\/$/, "")
      .replace(/:(?:443|80)$/, "") !== url.origin.replace(/:(?:443|80)$/, "")
  )
    return "expected only scheme, host and port in normalised form, such as https://lz.example.com";
  if (url.protocol === "http:" && !LOOPBACK.test(url.hostname))
    return "expected https: http works for loopback addresses only, because browsers send session cookies over https";
  return undefined;
}

/** An origin in the format of the `Origin` header. */
export const publicOrigin = z.string().transform((text, context) => {
  const fault = originFault(text);
  if (fault === undefined) return new URL(text).origin;
  context.addIssue({ code: "custom", message: fault });
  return z.NEVER;
});

/** The value of `LZ_PUBLIC_ORIGIN`, and the origins for which sessions may be issued. */
type Site = { publicOrigin?: string; admin: { parties: readonly string[] } };

/**
 * Origin at which people and agents reach this site, for redirects, commands and links. Without
 * `LZ_PUBLIC_ORIGIN`, the result is the origin of the request if that origin is an authorised party,
 * otherwise the first authorised party. Therefore a forged Host header cannot redirect people or agents to
 * another site.
 */
export function siteOrigin(request: Request, { publicOrigin, admin: { parties } }: Site): string {
  if (publicOrigin !== undefined) return publicOrigin;
  const { origin } = new URL(request.url);
  return parties.includes(origin) ? origin : (parties[0] ?? origin);
}

/**
 * Whether the browser connects over https. Behind a proxy that terminates TLS, the request URL itself begins
 * with http.
 */
export const isSecure = (request: Request, { publicOrigin }: Pick<Site, "publicOrigin">): boolean =>
  (publicOrigin ?? request.url).startsWith("https:");
