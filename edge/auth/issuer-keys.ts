import { createLocalJWKSet, errors, type JWTVerifyGetKey } from "jose";
import { z } from "zod";
import { fromBase64url, fromUtf8 } from "../../shared/encoding/bytes.ts";
import type { Log } from "../../shared/observability/log.ts";
import { type Clock, isRecent } from "../../shared/time/clock.ts";
import { readStream } from "../http/read-body.ts";
import type { Instruments } from "../platform/telemetry.ts";

/** While the issuer answers: a key it removed is refused after this time. */
const REFRESH_MS = 300_000;
/** While the issuer is down and keys are held. */
const RETRY_MS = 30_000;
/** While the issuer is down and no key is held. */
const RETRY_EMPTY_MS = 1000;
/** A token with an unknown key id makes the edge ask again; anyone can send such tokens. */
const UNKNOWN_KID_MS = 30_000;
/** How long keys are used after the last answer of the issuer. */
export const KEPT_MS = 24 * 3_600_000;
const FETCH_MS_MAX = 3000;
const SET_BYTES_MAX = 256 * 1024;
/** Where requests cannot share a fetch: fetches that may start within {@link FETCH_MS_MAX}. */
const PARALLEL_MAX = 20;
/** RFC 7518 §3.3. */
const MODULUS_BYTES_MIN = 256;

/** `stale`: the issuer is down, its last keys are used. `away`: it is down and there are no keys to use. */
export type KeysState = "unasked" | "fresh" | "stale" | "away";

export type IssuerKeys = {
  /** Key for a token's header. Throws a JOSEError for an unknown key, another Error when there are no keys to use. */
  get: JWTVerifyGetKey;
  /** Also starts a refresh that is due, where one may outlive the request. */
  state: () => KeysState;
};

export type IssuerKeysDeps = {
  url: string;
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  clock: Clock;
  log: Log;
  instruments: Pick<Instruments, "issuerKeysAsked">;
  /** False on workerd, where a request must not await the I/O of another one. */
  shared: boolean;
};

type KeySet = ReturnType<typeof createLocalJWKSet>;

/**
 * Public keys of the identity provider, in memory. They are refreshed every {@link REFRESH_MS}; while the issuer is
 * down, or answers with anything but usable keys, the last ones are used for {@link KEPT_MS}. There is no timer:
 * requests drive the refresh.
 */
export function createIssuerKeys(deps: IssuerKeysDeps): IssuerKeys {
  let held: { keys: KeySet; fetchedAtMs: number } | undefined;
  let pending: Promise<void> | undefined;
  let isFailing = false;
  let endedAtMs = Number.NEGATIVE_INFINITY;
  let begun = 0;
  let applied = 0;
  let startsMs: number[] = [];

  const usable = (): KeySet | undefined =>
    held && deps.clock() - held.fetchedAtMs < KEPT_MS ? held.keys : undefined;

  function mayAsk(intervalMs: number): boolean {
    const nowMs = deps.clock();
    if (isRecent(endedAtMs, nowMs, intervalMs)) return false;
    startsMs = startsMs.filter((startMs) => isRecent(startMs, nowMs, FETCH_MS_MAX));
    return startsMs.length < PARALLEL_MAX;
  }

  function refresh(): Promise<void> {
    if (pending) return pending;
    startsMs.push(deps.clock());
    const attempt = ask(++begun);
    if (!deps.shared) return attempt;
    pending = attempt.finally(() => {
      pending = undefined;
    });
    return pending;
  }

  /** Never rejects. An answer that arrives after a newer one is dropped. */
  async function ask(sequence: number): Promise<void> {
    const asked = await fetchKeys(deps).catch((error: unknown) => error as Error);
    if (sequence < applied) return;
    applied = sequence;
    endedAtMs = deps.clock();
    const wasFailing = isFailing;
    isFailing = asked instanceof Error;
    if (!(asked instanceof Error)) held = { keys: asked, fetchedAtMs: endedAtMs };
    const ageMs = held && endedAtMs - held.fetchedAtMs;
    deps.instruments.issuerKeysAsked(!isFailing, ageMs);
    if (asked instanceof Error) reportFailure(asked, ageMs, deps.log);
    else if (wasFailing) deps.log("info", "issuer-keys.recovered");
  }

  const isDue = (): boolean => mayAsk(usable() ? (isFailing ? RETRY_MS : REFRESH_MS) : RETRY_EMPTY_MS);

  async function refreshIfDue(): Promise<void> {
    const refreshing = pending ?? (isDue() ? refresh() : undefined);
    // An issuer that hangs must not delay people whose keys are held.
    if (deps.shared && isFailing && usable()) return;
    await refreshing;
  }

  return {
    async get(header, token) {
      await refreshIfDue();
      const keys = usable();
      if (!keys) throw new Error("the sign-in keys could not be fetched from LZ_ADMIN_JWKS_URL");
      try {
        return await keys(header, token);
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
        if (!pending && !mayAsk(UNKNOWN_KID_MS)) throw error;
        await refresh();
        return (usable() ?? keys)(header, token);
      }
    },
    state() {
      if (deps.shared && !pending && isDue()) void refresh();
      if (endedAtMs === Number.NEGATIVE_INFINITY) return "unasked";
      if (!usable()) return "away";
      return isFailing ? "stale" : "fresh";
    },
  };
}

/** One failed refresh is common; from the second on, somebody has to look. */
function reportFailure(error: Error, ageMs: number | undefined, log: Log): void {
  const isLong = ageMs === undefined || ageMs > 2 * REFRESH_MS;
  const age = ageMs === undefined ? {} : { keysAgeSeconds: Math.round(ageMs / 1000) };
  log(isLong ? "error" : "warn", "issuer-keys.not-refreshed", { ...age, keptSeconds: KEPT_MS / 1000, error });
}

async function fetchKeys({ url, fetch }: IssuerKeysDeps): Promise<KeySet> {
  const answer = await fetch(url, {
    headers: { accept: "application/jwk-set+json, application/json" },
    redirect: "manual",
    signal: AbortSignal.timeout(FETCH_MS_MAX),
  });
  if (answer.status !== 200 || !answer.body) {
    await answer.body?.cancel();
    throw new Error(`the key server answered ${answer.status}: expected 200 with a key set`);
  }
  const body = await readStream(answer.body, SET_BYTES_MAX);
  if (!body.ok) throw new Error(`the key set could not be read: ${body.detail}`);
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

/** The RS256 keys of a set. Throws when there is none, or when two have the same name: no working issuer says that. */
export function readKeySet(text: string): KeySet {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new Error("the key server answered 200 with something other than JSON");
  }
  const { keys = [] } = keySet.safeParse(parsed).data ?? {};
  const usable = keys.flatMap((key) => rsaKey.safeParse(key).data ?? []);
  if (usable.length === 0) throw new Error("the key server answered 200 without a usable RS256 key");
  const names = usable.map(({ kid }) => kid);
  if (new Set(names).size < names.length) throw new Error("the key set names two keys alike");
  return createLocalJWKSet({ keys: usable.map((key) => ({ ...key, alg: "RS256" })) });
}
