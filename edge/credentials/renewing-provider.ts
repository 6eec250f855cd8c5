import { isRecent, timestamp } from "../../shared/time/clock.ts";
import type { ProviderNeeds } from "./settings.ts";
import {
  CredentialFault,
  type CredentialProvider,
  type CredentialSource,
  type Credentials,
} from "./types.ts";

/**
 * Renewal starts this long before expiry. EC2 offers the next credentials at least five minutes before
 * (EC2 User Guide, "Retrieve security credentials from instance metadata").
 */
const RENEW_BEFORE_MS = 5 * 60_000;
/** Of credentials that live shorter than that, at most this share of their life is given to renewal. */
const RENEW_SHARE_MAX = 1 / 3;
/** Up to this share of the lead is jitter, so that nodes that started together do not renew together. */
const JITTER_SHARE = 0.2;
/** Pauses after failed renewals: doubled each time, at most this long, with jitter. */
const PAUSE_MS = 1000;
const PAUSE_MS_MAX = 15_000;
/** A source that gives the same credentials again has none that are newer: it is asked again after this. */
const SAME_PAUSE_MS = 30_000;
/** However many requests AWS refuses, the source is asked for newer credentials once in this time. */
const REPLACED_EVERY_MS = 5000;

/**
 * Credentials of a source that expire. They are renewed behind the requests before they expire: one fetch at a time,
 * and no request waits for it while the old ones are valid. A failed renewal is tried again until they expire; from
 * then on requests fail until the source answers.
 */
export function createRenewingProvider(source: CredentialSource, needs: ProviderNeeds): CredentialProvider {
  const { clock, random, log } = needs;
  let current: Credentials | undefined;
  let renewAtMs = Number.NEGATIVE_INFINITY;
  let renewing: Promise<Credentials> | undefined;
  let failures = 0;
  let failed: { fault: CredentialFault; atMs: number; pauseMs: number } | undefined;
  let refused: Credentials | undefined;
  let replacedAtMs = Number.NEGATIVE_INFINITY;

  const isValid = (credentials: Credentials | undefined): credentials is Credentials =>
    credentials !== undefined && (credentials.expiresAtMs === undefined || clock() < credentials.expiresAtMs);

  async function fetchNewer(): Promise<Credentials> {
    try {
      const fetched = await source.fetch();
      if (!isValid(fetched))
        throw new CredentialFault(`${source.name} returned credentials that have already expired`);
      return keep(fetched);
    } catch (error) {
      throw noteFailure(error);
    }
  }

  function keep(fetched: Credentials): Credentials {
    failures = 0;
    failed = undefined;
    const leftMs = (fetched.expiresAtMs ?? Number.POSITIVE_INFINITY) - clock();
    if (current && isSame(current, fetched)) {
      renewAtMs = clock() + Math.min(SAME_PAUSE_MS, leftMs * RENEW_SHARE_MAX) * (1 - JITTER_SHARE * random());
      return current;
    }
    current = fetched;
    const leadMs = Math.min(RENEW_BEFORE_MS, leftMs * RENEW_SHARE_MAX) * (1 - JITTER_SHARE * random());
    renewAtMs = clock() + leftMs - leadMs;
    log("info", "credentials.loaded", { source: source.name, ...endOf(fetched) });
    return fetched;
  }

  function noteFailure(error: unknown): CredentialFault {
    const fault =
      error instanceof CredentialFault
        ? error
        : new CredentialFault(`${source.name} gave no credentials`, { cause: error });
    const pauseMs = Math.min(PAUSE_MS * 2 ** failures++, PAUSE_MS_MAX) * (1 - random() / 2);
    failed = { fault, atMs: clock(), pauseMs };
    renewAtMs = clock() + pauseMs;
    const level = isValid(current) ? "warn" : "error";
    const kept = isValid(current) ? endOf(current) : {};
    log(level, "credentials.not-renewed", { source: source.name, error: fault, ...kept });
    return fault;
  }

  function renew(): Promise<Credentials> {
    if (renewing) return renewing;
    if (failed && isRecent(failed.atMs, clock(), failed.pauseMs)) return Promise.reject(failed.fault);
    renewing = fetchNewer().finally(() => {
      renewing = undefined;
    });
    return renewing;
  }

  return {
    async get() {
      if (!isValid(current)) return renew();
      if (clock() >= renewAtMs) void renew().catch(() => {});
      return current;
    },
    async replace(used, code) {
      if (current && !isSame(current, used)) return current;
      refused = used;
      if (!renewing && isRecent(replacedAtMs, clock(), REPLACED_EVERY_MS)) return undefined;
      replacedAtMs = clock();
      const newer = await renew();
      if (!isSame(newer, used)) return newer;
      log("error", "credentials.refused", { source: source.name, code });
      return undefined;
    },
    problem() {
      if (!isValid(current)) return "away";
      if (refused && isSame(refused, current)) return "refused";
      return failed && "not-renewed";
    },
  };
}

const isSame = (one: Credentials, other: Credentials): boolean =>
  one.accessKeyId === other.accessKeyId &&
  one.sessionToken === other.sessionToken &&
  one.secretAccessKey === other.secretAccessKey;

const endOf = ({ expiresAtMs }: Credentials) =>
  expiresAtMs === undefined ? {} : { expiresAt: timestamp(expiresAtMs) };
