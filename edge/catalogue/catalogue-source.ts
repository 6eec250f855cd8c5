import type { JSONWebKeySet } from "jose";
import type { Log } from "../../shared/observability/log.ts";
import type { Clock } from "../../shared/time/clock.ts";
import { CATALOGUE_BYTES_MAX, sha256Of, verifyCatalogue } from "../../shared/wire/catalog.ts";

/** How long a node serves what it has before it looks for a newer one. */
const REFRESH_MS = 300_000;
const FETCH_MS_MAX = 5000;

export type SignedCatalogue = { document: string; etag: string };

export type CatalogueSource = {
  isLoaded(): boolean;
  /** The newest signed catalogue. Rejects when there is none to be had yet. Absent where none is configured. */
  newest: (() => Promise<SignedCatalogue>) | undefined;
};

/** While none was ever loaded: how long after a try the next one may begin, twice as long after each failure. */
const RETRY_MS = 2000;
const RETRY_MS_MAX = 60_000;

/**
 * Keeps the document found at `url` in memory: any place that serves a file does (a bucket, a CDN, on Deno and Bun
 * a `file:` address). It is checked against the control keys before it is served. While the place is away or what
 * it has is not signed, the last good one serves on. Nothing is shared between requests but the finished text.
 */
export function createCatalogueSource(deps: {
  url: string | undefined;
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  controlJwks: JSONWebKeySet;
  clock: Clock;
  log: Log;
  /** False on workerd, where a request may not await another one's fetch. */
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
        if (!found) throw new Error("the catalogue could not be loaded a moment ago");
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
    if (!response.ok) throw new Error(`the catalogue's place answered ${response.status}`);
    const document = await response.text();
    if (document.length > CATALOGUE_BYTES_MAX) throw new Error("the catalogue is too large");
    await verifyCatalogue(document, deps.controlJwks, deps.clock());
    return { document, etag: `"${await sha256Of(document)}"` };
  }
}

/** RFC 9110 §13.1.2: any of the tags, compared weakly (a proxy that compresses marks them `W/`). */
export const matchesTag = (header: string | undefined, etag: string): boolean =>
  header?.split(",").some((tag) => tag.trim() === "*" || tag.trim().replace(/^W\//, "") === etag) ?? false;
