import type { HttpDeps } from "../http/deps.ts";
import type { RateLimit } from "../http/rate-limit.ts";
import type { CatalogueSource } from "./catalogue-source.ts";

/** Dependencies of the catalogue download. */
export type CatalogueDeps = HttpDeps & {
  /** Source of the catalogue that agents download. */
  catalogue: CatalogueSource;
  /** Address of the client, for custody records, logs and rate limits. */
  sourceIp: (request: Request) => string;
  limits: {
    /** Catalogue downloads per network. */
    catalogue: RateLimit;
  };
};
