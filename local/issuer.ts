import { importJWK, SignJWT } from "jose";
import { publicJwk } from "./secrets.ts";

/** The identity provider for development. It replaces Clerk, with the same claims, keys and cookie. */

export const ISSUER = "https://issuer.lifecyclezero.localhost";
export const TENANT_ID = "org_local";

const SESSION_SECONDS = 12 * 3600;

type Person = { userId: string; role: "admin" | "responder" | "analyst" | "viewer" };

export type Issuer = {
  /** Origin of the identity provider. */
  url: string;
  jwksUrl: string;
  /** Returns a link that signs a person in as administrator. */
  signInLink: (returnTo: string) => string;
  mint: (person: Person, tenantId?: string) => Promise<string>;
  stop: () => Promise<void>;
};

/**
 * Starts the identity provider on a free port.
 *
 * @param partyOrigin origin of the dashboard. It is the `azp` of every session, and the only target of a
 * sign-in.
 * @param code secret in the sign-in link that `bun run start` prints
 */
export async function startIssuer(
  key: Record<string, unknown>,
  partyOrigin: string,
  code: string,
): Promise<Issuer> {
  const signing = await importJWK(key, "RS256");
  const mint = (person: Person, tenantId = TENANT_ID) =>
    new SignJWT({
      azp: partyOrigin,
      sid: `sess_${person.userId}`,
      sts: "active",
      v: 2,
      o: { id: tenantId, rol: person.role, slg: "local" },
    })
      .setProtectedHeader({ alg: "RS256", kid: key.kid as string, typ: "JWT" })
      .setIssuer(ISSUER)
      .setSubject(person.userId)
      .setIssuedAt()
      .setNotBefore("-5s")
      .setExpirationTime(`${SESSION_SECONDS}s`)
      .sign(signing);

  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const url = new URL(request.url);
      if (url.pathname === "/.well-known/jwks.json") return Response.json({ keys: [publicJwk(key)] });
      if (url.pathname === "/sign-in") return signIn(url, partyOrigin, code, mint);
      return new Response("Not found", { status: 404 });
    },
  });
  const url = `http://127.0.0.1:${server.port}`;
  return {
    url,
    jwksUrl: `${url}/.well-known/jwks.json`,
    signInLink: (returnTo) => `${url}/sign-in?${new URLSearchParams({ code, redirect_url: returnTo })}`,
    mint,
    stop: () => server.stop(true),
  };
}

/**
 * Sets the session cookie. Cookies ignore ports, so the browser sends this cookie to the dashboard on the
 * same host.
 */
async function signIn(url: URL, partyOrigin: string, code: string, mint: Issuer["mint"]): Promise<Response> {
  if (url.searchParams.get("code") !== code) {
    return new Response(
      "The sign-in code is missing or wrong. Open the sign-in link that bun run start printed.\n",
      {
        status: 403,
      },
    );
  }
  const wanted = URL.parse(url.searchParams.get("redirect_url") ?? "", partyOrigin);
  const target = wanted?.origin === partyOrigin ? wanted.href : `${partyOrigin}/`;
  const token = await mint({ userId: "user_local_admin", role: "admin" });
  return new Response(null, {
    status: 302,
    headers: {
      location: target,
      "set-cookie": `__session=${token}; HttpOnly; SameSite=Lax; Path=/; Max-Age=${SESSION_SECONDS}`,
      "cache-control": "no-store",
      "referrer-policy": "no-referrer",
    },
  });
}
