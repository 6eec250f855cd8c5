import type { JSONWebKeySet } from "jose";
import type { Log } from "../../shared/observability/log.ts";
import type { Clock } from "../../shared/time/clock.ts";
import { CATALOGUE_BYTES_MAX, sha256Of, verifyCatalogue } from "../../shared/wire/catalog.ts";

/** Interval between two fetches of a loaded catalogue. */
const REFRESH_MS = 300_000;
const FETCH_MS_MAX = 5000;

type SignedCatalogue = { document: string; etag: string };

export type CatalogueSource = {
  /** Whether a catalogue has been loaded since the process started. */
  isLoaded(): boolean;
  /**
   * Returns the newest signed catalogue. Rejects if none has been loaded yet. Undefined if no catalogue is
   * configured.
   */
  newest: (() => Promise<SignedCatalogue>) | undefined;
};

/**
 * Interval between fetches until the first catalogue is loaded. The interval doubles after each failure, up
 * to the maximum.
 */
const RETRY_MS = 2000;
const RETRY_MS_MAX = 60_000;

/**
 * Stale-while-revalidate cache of the catalogue at `url`. The URL names a bucket, a CDN, or a file (`file:`,
 * only on Deno and Bun). A catalogue is only served after its signature was verified with the control keys.
 * While `url` is unavailable or returns an invalid document, the last valid catalogue is served.
 */
export function createCatalogueSource(deps: {
  url: string | undefined;
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  controlJwks: JSONWebKeySet;
  clock: Clock;
  log: Log;
  /** False on workerd, where a request cannot await a fetch that another request started. */
  shared: boolean;
}): CatalogueSource {
  const { url } = deps;
  if (url === undefined) return { isLoaded: () => false, newest: undefined };
  let last: SignedCatalogue | undefined;
  let loading: Promise<SignedCatalogue> | undefined;
  let lookAtMs = Number.NEGATIVE_INFINITY;
  let retryMs = RETRY_MS;
  return {
    isLoaded: () => last !== undefined,
    async newest() {
      if (deps.clock() < lookAtMs) {
        const found = last ?? loading;
        if (!found) throw new Error("the catalogue could not be loaded: the next attempt is within a minute");
        return found;
      }
      lookAtMs = deps.clock() + (last ? REFRESH_MS : retryMs);
      const first = last ? undefined : load(url);
      if (deps.shared) loading = first;
      try {
        last = await (first ?? load(url));
        lookAtMs = deps.clock() + REFRESH_MS;
      } catch (error) {
        if (!last) {
          retryMs = Math.min(2 * retryMs, RETRY_MS_MAX);
          throw error;
        }
        deps.log("warn", "catalogue.not-refreshed", { error });
      } finally {
        loading = undefined;
      }
      return last;
    },
  };

  async function load(from: string): Promise<SignedCatalogue> {
    const response = await deps.fetch(from, { signal: AbortSignal.timeout(FETCH_MS_MAX) });
    if (!response.ok) throw new Error(`unexpected status ${response.status} from LZ_CATALOGUE_URL`);
    const document = await response.text();
    if (document.length > CATALOGUE_BYTES_MAX) throw new Error("the catalogue is too large");
    await verifyCatalogue(document, deps.controlJwks, deps.clock());
    return { document, etag: `"${await sha256Of(document)}"` };
  }
}

/**
 * Evaluates `If-None-Match` (RFC 9110 §13.1.2). The comparison is weak, because proxies that compress a
 * response add `W/`.
 */
export const matchesTag = (header: string | undefined, etag: string): boolean =>
  header?.split(",").some((tag) => tag.trim() === "*" || tag.trim().replace(/^W\//, "") === etag) ?? false;
