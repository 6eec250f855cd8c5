import type { ControlDeps } from "../control/deps.ts";
import type { RateLimit } from "../http/rate-limit.ts";

/** Dependencies of the admin API. */
export type ApiDeps = ControlDeps & {
  /** Address of the client, for custody records, logs and rate limits. */
  sourceIp: (request: Request) => string;
  /**
   * Origin at which browsers and agents reach this site. If absent, `siteOrigin` determines the origin from
   * the request.
   */
  publicOrigin?: string;
  limits: {
    /**
     * Admin API requests per caller. Requests with API keys are also limited per network, because each of
     * these requests needs a table read before it is authenticated.
     */
    admin: RateLimit;
  };
};
