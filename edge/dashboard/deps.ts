import type { ApiDeps } from "../api/deps.ts";

/** Dependencies of the pages. */
export type DashboardDeps = ApiDeps & {
  /**
   * URL of the folder from which the agent can be downloaded, without a trailing slash. If absent, the
   * enrolment page shows no download command.
   */
  agentDownloadUrl?: string;
  admin: {
    signInUrl: string;
    /**
     * URL at which the identity provider renews a session token. Session tokens are valid for one minute. If
     * absent, the sign-in page renews the token.
     */
    handshakeUrl?: string;
    /** Keys of CSRF tokens, one for each edge secret. The first key signs, and all keys verify. */
    csrfKeys: readonly [CryptoKey, ...CryptoKey[]];
  };
};
