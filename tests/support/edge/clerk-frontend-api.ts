/**
 * A strict test double for the handshake of Clerk's Frontend API (clerk.com/docs, "How Clerk works";
 * `HandshakeService` of @clerk/backend 3.25.0). It rejects what Clerk rejects. The test decides which cookies
 * the browser keeps.
 */
export type FrontendApi = {
  /**
   * Responds to a request for the address that the app redirected the browser to. `clientCookie`: the cookie
   * of the Frontend API's own domain.
   */
  handshake(address: URL, clientCookie?: string): Promise<{ status: number; back?: URL; cookies: string[] }>;
  /** Signs in on the hosted sign-in page, which redirects the browser back. */
  signIn(redirectUrl: URL, session: string): { back: URL; clientCookie: string };
};

type Settings = {
  /**
   * True for a development instance. A development instance runs on a different site than the application and
   * identifies browsers by `__clerk_db_jwt`.
   */
  isDevelopment: boolean;
  allowedOrigins: readonly string[];
  suffix: string;
  sign: (payload: object) => Promise<string>;
};

export function createFrontendApi({ isDevelopment, allowedOrigins, suffix, sign }: Settings): FrontendApi {
  const sessions = new Map<string, string>();
  let count = 0;

  function directivesOf(browser: string | undefined): string[] {
    const session = browser === undefined ? undefined : sessions.get(browser);
    const own = isDevelopment
      ? [`__clerk_db_jwt=${browser ?? `dvb_new${++count}`}; Path=/; SameSite=Lax`]
      : [];
    if (session === undefined)
      return [
        ...own,
        "__client_uat=0; Path=/",
        "__session=; Path=/; Max-Age=0",
        `__session_${suffix}=; Path=/; Max-Age=0`,
      ];
    return [
      ...own,
      `__client_uat_${suffix}=1790000000; Path=/; Domain=example.com`,
      "__session=; Path=/; Max-Age=0",
      `__session_${suffix}=${session}; Path=/; Secure; SameSite=Lax`,
    ];
  }

  return {
    async handshake(address, clientCookie) {
      const { searchParams } = address;
      const back = URL.parse(searchParams.get("redirect_url") ?? "");
      if (address.pathname !== "/v1/client/handshake") return { status: 404, cookies: [] };
      if (!back || !allowedOrigins.includes(back.origin)) return { status: 400, cookies: [] };
      if (!/^(true|false)$/.test(searchParams.get("suffixed_cookies") ?? ""))
        return { status: 400, cookies: [] };
      if (back.searchParams.has("__clerk_db_jwt")) return { status: 400, cookies: [] };
      const browser = isDevelopment ? (searchParams.get("__clerk_db_jwt") ?? undefined) : clientCookie;
      const token = await sign({ handshake: directivesOf(browser) });
      if (!isDevelopment) return { status: 307, back, cookies: [`__clerk_handshake=${token}`] };
      back.searchParams.set("__clerk_handshake", token);
      return { status: 307, back, cookies: [] };
    },
    signIn(redirectUrl, session) {
      const browser = `dvb_${++count}`;
      sessions.set(browser, session);
      const back = new URL(redirectUrl);
      if (isDevelopment) back.searchParams.set("__clerk_db_jwt", browser);
      return { back, clientCookie: browser };
    },
  };
}
