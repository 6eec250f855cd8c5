import { createLocalJWKSet, errors, type JWTVerifyGetKey } from "jose";
import { z } from "zod";
import { fromBase64url, fromUtf8 } from "../../shared/encoding/bytes.ts";
import type { Log } from "../../shared/observability/log.ts";
import { type Clock, isRecent } from "../../shared/time/clock.ts";
import { readStream } from "../http/read-body.ts";
import type { Instruments } from "../platform/telemetry.ts";

/**
 * Refresh interval while the issuer responds. It is also the maximum time for which a key that the issuer
 * removed is still accepted.
 */
const REFRESH_MS = 300_000;
/** Retry interval while the issuer is down and the cached keys are still usable. */
const RETRY_MS = 30_000;
/** Retry interval while the issuer is down and there are no usable keys. */
const RETRY_EMPTY_MS = 1000;
/** Minimum interval between fetches that are caused by tokens with an unknown key id. Anyone can send such tokens. */
const UNKNOWN_KID_MS = 30_000;
/** Maximum time for which keys are used after the issuer's last valid response. */
export const KEPT_MS = 24 * 3_600_000;
const FETCH_MS_MAX = 3000;
const SET_BYTES_MAX = 256 * 1024;
/**
 * Maximum number of fetches that start within {@link FETCH_MS_MAX}, in runtimes where requests cannot share a
 * fetch.
 */
const PARALLEL_MAX = 20;
/** Minimum size of an RSA key: 2048 bits (RFC 7518 §3.3). */
const MODULUS_BYTES_MIN = 256;

/**
 * `stale`: the issuer is down, and its last keys are still used. `away`: the issuer is down, and there are no
 * usable keys.
 */
export type KeysState = "unasked" | "fresh" | "stale" | "away";

export type IssuerKeys = {
  /**
   * Finds the key for a token's header. Throws a JOSEError for an unknown key, and any other Error without
   * a usable key.
   */
  get: JWTVerifyGetKey;
  /**
   * State for the readiness probe. Also starts a refresh that is due, if the runtime allows a fetch to
   * continue after its request.
   */
  state: () => KeysState;
};

export type IssuerKeysDeps = {
  url: string;
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  clock: Clock;
  log: Log;
  instruments: Pick<Instruments, "issuerKeysAsked">;
  /** False on workerd, where a request cannot await I/O that another request started. */
  shared: boolean;
};

type KeySet = ReturnType<typeof createLocalJWKSet>;

/**
 * Caches the public keys of the identity provider. There is no timer. Instead, requests start a refresh every
 * {@link REFRESH_MS}. While the issuer is down or returns no usable keys, the last keys are used for up to
 * {@link KEPT_MS}.
 */
export function createIssuerKeys(deps: IssuerKeysDeps): IssuerKeys {
  const cache = new KeyCache(deps);
  return { get: (header, token) => cache.get(header, token), state: () => cache.state() };
}

class KeyCache {
  #cached: { keys: KeySet; fetchedAtMs: number } | undefined;
  #pending: Promise<void> | undefined;
  #isFailing = false;
  #endedAtMs = Number.NEGATIVE_INFINITY;
  /** Sequence number of the newest fetch that began, and of the newest fetch whose result was applied. */
  #begun = 0;
  #applied = 0;
  #startsMs: number[] = [];

  constructor(private readonly deps: IssuerKeysDeps) {}

  async get(...[header, token]: Parameters<JWTVerifyGetKey>): ReturnType<KeySet> {
    await this.#refreshIfDue();
    const keys = this.#usable();
    if (!keys) throw new Error("cannot verify sessions: no keys could be fetched from LZ_ADMIN_JWKS_URL");
    try {
      return await keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      if (!this.#pending && !this.#mayFetch(UNKNOWN_KID_MS)) throw error;
      await this.#refresh();
      return (this.#usable() ?? keys)(header, token);
    }
  }

  state(): KeysState {
    if (this.deps.shared && !this.#pending && this.#isDue()) void this.#refresh();
    if (this.#endedAtMs === Number.NEGATIVE_INFINITY) return "unasked";
    if (!this.#usable()) return "away";
    return this.#isFailing ? "stale" : "fresh";
  }

  #usable(): KeySet | undefined {
    const cached = this.#cached;
    return cached && this.deps.clock() - cached.fetchedAtMs < KEPT_MS ? cached.keys : undefined;
  }

  #isDue(): boolean {
    if (!this.#usable()) return this.#mayFetch(RETRY_EMPTY_MS);
    return this.#mayFetch(this.#isFailing ? RETRY_MS : REFRESH_MS);
  }

  #mayFetch(intervalMs: number): boolean {
    const nowMs = this.deps.clock();
    if (isRecent(this.#endedAtMs, nowMs, intervalMs)) return false;
    this.#startsMs = this.#startsMs.filter((startMs) => isRecent(startMs, nowMs, FETCH_MS_MAX));
    return this.#startsMs.length < PARALLEL_MAX;
  }

  async #refreshIfDue(): Promise<void> {
    const refreshing = this.#pending ?? (this.#isDue() ? this.#refresh() : undefined);
    // Do not wait for a slow issuer while cached keys can be used.
    if (this.deps.shared && this.#isFailing && this.#usable()) return;
    await refreshing;
  }

  #refresh(): Promise<void> {
    if (this.#pending) return this.#pending;
    this.#startsMs.push(this.deps.clock());
    const attempt = this.#fetch(++this.#begun);
    if (!this.deps.shared) return attempt;
    this.#pending = attempt.finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  /** Fetches the keys. Never rejects. Ignores a response if a fetch that started later has already completed. */
  async #fetch(sequence: number): Promise<void> {
    const { clock, instruments, log } = this.deps;
    const fetched = await fetchKeys(this.deps).catch((error: unknown) => error as Error);
    if (sequence < this.#applied) return;
    this.#applied = sequence;
    this.#endedAtMs = clock();
    const wasFailing = this.#isFailing;
    this.#isFailing = fetched instanceof Error;
    if (!(fetched instanceof Error)) this.#cached = { keys: fetched, fetchedAtMs: this.#endedAtMs };
    const ageMs = this.#cached && this.#endedAtMs - this.#cached.fetchedAtMs;
    instruments.issuerKeysAsked(!this.#isFailing, ageMs);
    if (fetched instanceof Error) reportFailure(fetched, ageMs, log);
    else if (wasFailing) log("info", "issuer-keys.recovered");
  }
}

/** Logs a failed refresh: a single failure as a warning, repeated failures as an error. */
function reportFailure(error: Error, ageMs: number | undefined, log: Log): void {
  const isLong = ageMs === undefined || ageMs > 2 * REFRESH_MS;
  const age = ageMs === undefined ? {} : { keysAgeSeconds: Math.round(ageMs / 1000) };
  log(isLong ? "error" : "warn", "issuer-keys.not-refreshed", { ...age, keptSeconds: KEPT_MS / 1000, error });
}

async function fetchKeys({ url, fetch }: IssuerKeysDeps): Promise<KeySet> {
  const response = await fetch(url, {
    headers: { accept: "application/jwk-set+json, application/json" },
    redirect: "manual",
    signal: AbortSignal.timeout(FETCH_MS_MAX),
  });
  if (response.status !== 200 || !response.body) {
    await response.body?.cancel();
    throw new Error(
      `unexpected status ${response.status} from LZ_ADMIN_JWKS_URL: expected 200 with a key set`,
    );
  }
  const body = await readStream(response.body, SET_BYTES_MAX);
  if (!body.ok) throw new Error(`cannot read the key set: ${body.detail}`);
  return readKeySet(fromUtf8(body.value));
}

const keySet = z.object({ keys: z.array(z.unknown()).max(100) });
const rsaKey = z.object({
  kty: z.literal("RSA"),
  kid: z.string().min(1).max(200).exactOptional(),
  use: z.literal("sig").exactOptional(),
  alg: z.literal("RS256").exactOptional(),
  n: z.string().refine((n) => (fromBase64url(n)?.length ?? 0) >= MODULUS_BYTES_MIN),
  e: z.string().regex(/^[A-Za-z0-9_-]{1,12}$/),
});

/**
 * Parses a key set and returns its RS256 keys. Throws if the set has no RS256 key, or two keys with the same
 * key id.
 */
export function readKeySet(text: string): KeySet {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new Error("invalid key set: expected JSON");
  }
  const { keys = [] } = keySet.safeParse(parsed).data ?? {};
  const usable = keys.flatMap((key) => rsaKey.safeParse(key).data ?? []);
  if (usable.length === 0) throw new Error("invalid key set: it has no usable RS256 key");
  const names = usable.map(({ kid }) => kid);
  if (new Set(names).size < names.length) throw new Error("invalid key set: two keys have the same key id");
  return createLocalJWKSet({ keys: usable.map((key) => ({ ...key, alg: "RS256" })) });
}
