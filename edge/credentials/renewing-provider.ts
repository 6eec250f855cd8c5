import { backoffCeilingMs } from "../../shared/time/backoff.ts";
import { isRecent, timestamp } from "../../shared/time/clock.ts";
import type { ProviderNeeds } from "./settings.ts";
import {
  CredentialFault,
  type CredentialProblem,
  type CredentialProvider,
  type CredentialSource,
  type Credentials,
} from "./types.ts";

/**
 * Time before expiry at which renewal starts. EC2 provides the next credentials at least five minutes before
 * expiry (EC2 User Guide, "Retrieve security credentials from instance metadata").
 */
const RENEW_BEFORE_MS = 5 * 60_000;
/**
 * Maximum share of the remaining lifetime by which renewal starts early. It limits {@link RENEW_BEFORE_MS}
 * for short-lived credentials.
 */
const RENEW_SHARE_MAX = 1 / 3;
/** Maximum share of the lead time that is jitter. Nodes that started together therefore renew at different times. */
const JITTER_SHARE = 0.2;
/** Pause after the first failed renewal. The pause doubles after each failure up to the maximum, and has jitter. */
const PAUSE_MS = 1000;
const PAUSE_MS_MAX = 15_000;
/** Pause before the next fetch if the source returned the same credentials again. */
const SAME_PAUSE_MS = 30_000;
/**
 * Minimum time between two fetches that are caused by AWS refusing the credentials, regardless of the number
 * of refused requests.
 */
const REPLACED_EVERY_MS = 5000;

/**
 * Provider for a source of credentials that expire. Renews them in the background before they expire, with
 * one fetch at a time. No request waits while the old credentials are valid. A failed renewal is retried.
 * After the credentials have expired, requests fail until the source responds.
 */
export function createRenewingProvider(source: CredentialSource, needs: ProviderNeeds): CredentialProvider {
  const provider = new RenewingProvider(source, needs);
  return {
    get: () => provider.get(),
    replace: (refused, code) => provider.replace(refused, code),
    problem: () => provider.problem(),
  };
}

class RenewingProvider implements CredentialProvider {
  #current: Credentials | undefined;
  #renewAtMs = Number.NEGATIVE_INFINITY;
  #renewing: Promise<Credentials> | undefined;
  #failures = 0;
  #failed: { fault: CredentialFault; atMs: number; pauseMs: number } | undefined;
  #refused: Credentials | undefined;
  #replacedAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly source: CredentialSource,
    private readonly needs: ProviderNeeds,
  ) {}

  async get(): Promise<Credentials> {
    const current = this.#current;
    if (!this.#isValid(current)) return this.#renew();
    if (this.needs.clock() >= this.#renewAtMs) void this.#renew().catch(() => {});
    return current;
  }

  async replace(used: Credentials, code: string): Promise<Credentials | undefined> {
    const { clock, log } = this.needs;
    if (this.#current && !isSame(this.#current, used)) return this.#current;
    this.#refused = used;
    if (!this.#renewing && isRecent(this.#replacedAtMs, clock(), REPLACED_EVERY_MS)) return undefined;
    this.#replacedAtMs = clock();
    const newer = await this.#renew();
    if (!isSame(newer, used)) return newer;
    log("error", "credentials.refused", { source: this.source.name, code });
    return undefined;
  }

  problem(): CredentialProblem | undefined {
    if (!this.#isValid(this.#current)) return "away";
    if (this.#refused && isSame(this.#refused, this.#current)) return "refused";
    return this.#failed && "not-renewed";
  }

  #isValid(credentials: Credentials | undefined): credentials is Credentials {
    if (credentials === undefined) return false;
    return credentials.expiresAtMs === undefined || this.needs.clock() < credentials.expiresAtMs;
  }

  #renew(): Promise<Credentials> {
    if (this.#renewing) return this.#renewing;
    const failed = this.#failed;
    if (failed && isRecent(failed.atMs, this.needs.clock(), failed.pauseMs))
      return Promise.reject(failed.fault);
    this.#renewing = this.#fetch().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #fetch(): Promise<Credentials> {
    try {
      const fetched = await this.source.fetch();
      if (!this.#isValid(fetched))
        throw new CredentialFault(`${this.source.name} returned credentials that have already expired`);
      return this.#keep(fetched);
    } catch (error) {
      throw this.#noteFailure(error);
    }
  }

  #keep(fetched: Credentials): Credentials {
    const { clock, random, log } = this.needs;
    this.#failures = 0;
    this.#failed = undefined;
    const leftMs = (fetched.expiresAtMs ?? Number.POSITIVE_INFINITY) - clock();
    if (this.#current && isSame(this.#current, fetched)) {
      const pauseMs = Math.min(SAME_PAUSE_MS, leftMs * RENEW_SHARE_MAX);
      this.#renewAtMs = clock() + pauseMs * (1 - JITTER_SHARE * random());
      return this.#current;
    }
    this.#current = fetched;
    const leadMs = Math.min(RENEW_BEFORE_MS, leftMs * RENEW_SHARE_MAX) * (1 - JITTER_SHARE * random());
    this.#renewAtMs = clock() + leftMs - leadMs;
    log("info", "credentials.loaded", { source: this.source.name, ...endOf(fetched) });
    return fetched;
  }

  #noteFailure(error: unknown): CredentialFault {
    const { clock, random, log } = this.needs;
    const fault =
      error instanceof CredentialFault
        ? error
        : new CredentialFault(`${this.source.name} returned no credentials`, { cause: error });
    const pauseMs = backoffCeilingMs(this.#failures++, PAUSE_MS, PAUSE_MS_MAX) * (1 - random() / 2);
    this.#failed = { fault, atMs: clock(), pauseMs };
    this.#renewAtMs = clock() + pauseMs;
    const level = this.#isValid(this.#current) ? "warn" : "error";
    const kept = this.#isValid(this.#current) ? endOf(this.#current) : {};
    log(level, "credentials.not-renewed", { source: this.source.name, error: fault, ...kept });
    return fault;
  }
}

const isSame = (one: Credentials, other: Credentials): boolean =>
  one.accessKeyId === other.accessKeyId &&
  one.sessionToken === other.sessionToken &&
  one.secretAccessKey === other.secretAccessKey;

const endOf = ({ expiresAtMs }: Credentials) =>
  expiresAtMs === undefined ? {} : { expiresAt: timestamp(expiresAtMs) };
