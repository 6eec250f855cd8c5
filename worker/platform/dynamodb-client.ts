import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { isJsonObject } from "../../shared/encoding/json-object.ts";
import { type Dynamo, DynamoFault, isDynamoContentType } from "../../shared/table/dynamo.ts";
import type { Clock } from "../../shared/time/clock.ts";
import { type Credentials, createSigner, type Signer } from "./sigv4.ts";

/** Timeout of one attempt in milliseconds. */
const TRY_TIMEOUT_MS = 4000;
/**
 * Timeout of a call with all its attempts, in milliseconds. The export reads events with a delay of ten
 * seconds. Before that, an event must be in the table, or its write must have been given up.
 */
export const CALL_TIMEOUT_MS = 8000;
/** Minimum clock difference that explains a rejected signature. AWS allows five minutes. */
const SKEW_MS = 4 * 60_000;

/** Error names that are retried. A cancelled transaction is not among them: the caller handles it. */
const TRANSIENT = new Set([
  "InternalServerError",
  "ItemCollectionSizeLimitExceededException",
  "LimitExceededException",
  "ProvisionedThroughputExceededException",
  "RequestLimitExceeded",
  "ServiceUnavailable",
  "ThrottlingException",
  "TransactionInProgressException",
]);
/** Error names that mean that the credentials expired earlier than expected. */
const EXPIRED = new Set(["ExpiredTokenException", "UnrecognizedClientException"]);

type Needs = {
  clock: Clock;
  /** Waits before attempt `round`, counted from 1, with exponential backoff and jitter. */
  pause: (round: number) => Promise<void>;
  /**
   * Creates the client request token of a transaction. A retry with the same token does not run the
   * transaction twice.
   */
  token: () => string;
};

type Wire = { url: string; host: string; attemptsMax: number; sign: Signer };

/**
 * Creates a client of DynamoDB's JSON protocol, which signs requests here and sends them with `fetch`.
 * Region, endpoint, credentials and number of attempts come from the configuration of the AWS SDK. The SDK's
 * own client needs twenty times the CPU (docs/decisions/0012-dynamodb-signed-by-hand.md).
 */
export function createDynamo(client: DynamoDBClient, needs: Needs): Dynamo {
  const { clock, pause, token } = needs;
  let wire: Promise<Wire> | undefined;
  let skewMs = 0;

  async function attempt(
    { url, host, sign }: Wire,
    target: string,
    body: string,
    timeoutMs: number,
    credentials: Credentials,
  ): Promise<Attempt> {
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: sign({ host, target, body }, credentials, clock() + skewMs),
        body,
        signal: AbortSignal.timeout(timeoutMs),
        redirect: "error",
      });
      const answer: unknown = await response.json();
      if (!isJsonObject(answer)) throw new Error("the response is not a JSON object");
      if (response.ok && isDynamoContentType(response.headers.get("content-type"))) return { answer };
      if (response.ok)
        throw new Error(
          `the response with status ${response.status} is not from DynamoDB: unexpected content type`,
        );
      const fault = faultOf(response.status, answer);
      const isSkewed = fault.code.startsWith("InvalidSignature") && learnSkew(response.headers.get("date"));
      return { fault, isTransient: response.status >= 500 || TRANSIENT.has(fault.code) || isSkewed };
    } catch (error) {
      return { fault: new DynamoFault("Unreachable", [], { cause: error }), isTransient: true };
    }
  }

  /** Corrects the clock difference from the Date header. Returns true if the difference caused the error. */
  function learnSkew(date: string | null): boolean {
    const offMs = Date.parse(date ?? "") - (clock() + skewMs);
    if (!(Math.abs(offMs) > SKEW_MS)) return false;
    skewMs += offMs;
    return true;
  }

  return async (operation, input) => {
    wire ??= wireOf(client);
    const known = await wire.catch((error: unknown) => {
      wire = undefined;
      throw error;
    });
    const isTransaction = operation === "TransactWriteItems";
    const body = JSON.stringify(isTransaction ? { ClientRequestToken: token(), ...input } : input);
    const untilMs = clock() + CALL_TIMEOUT_MS;
    let isExpired = false;
    for (let tried = 1; ; tried++) {
      const timeoutMs = Math.min(TRY_TIMEOUT_MS, untilMs - clock());
      const credentials = await credentialsOf(client, isExpired);
      const made = await attempt(known, `DynamoDB_20120810.${operation}`, body, timeoutMs, credentials);
      if ("answer" in made) return made.answer as never;
      const isNewlyExpired: boolean = !isExpired && EXPIRED.has(made.fault.code);
      isExpired ||= isNewlyExpired;
      const mayGoOn = made.isTransient || isNewlyExpired;
      if (!mayGoOn || tried >= known.attemptsMax) throw made.fault;
      await pause(tried);
      if (clock() >= untilMs) throw made.fault;
    }
  };
}

type Attempt = { answer: Record<string, unknown> } | { fault: DynamoFault; isTransient: boolean };

function faultOf(status: number, answer: Record<string, unknown>): DynamoFault {
  const code = String(answer.__type ?? status).replace(/^.*#/, "");
  const reasons = (answer.CancellationReasons ?? []) as { Code?: string }[];
  return new DynamoFault(
    code,
    reasons.map((reason) => reason.Code ?? "None"),
  );
}

/** Credentials from the cache of the SDK. If `isExpired` is true, the SDK fetches new ones immediately. */
async function credentialsOf({ config }: DynamoDBClient, isExpired: boolean): Promise<Credentials> {
  const provide = config.credentials as (how?: { forceRefresh: boolean }) => Promise<Credentials>;
  return isExpired ? provide({ forceRefresh: true }) : provide();
}

async function wireOf({ config }: DynamoDBClient): Promise<Wire> {
  const [Region, UseFIPS, UseDualStack, attemptsMax] = await Promise.all([
    config.region(),
    config.useFipsEndpoint(),
    config.useDualstackEndpoint(),
    config.maxAttempts(),
  ]);
  const url = (await configuredUrl(config)) ?? config.endpointProvider({ Region, UseFIPS, UseDualStack }).url;
  return { url: url.href, host: url.host, attemptsMax, sign: createSigner("dynamodb", Region) };
}

/**
 * Endpoint from the caller, the environment (`AWS_ENDPOINT_URL_DYNAMODB`) or the SDK's configuration files.
 * Undefined if none of them sets it.
 */
async function configuredUrl(config: DynamoDBClient["config"]): Promise<URL | undefined> {
  if (config.endpoint) {
    const { protocol, hostname, port } = await config.endpoint();
    return new URL(`${protocol}//${hostname}${port === undefined ? "" : `:${port}`}/`);
  }
  const { serviceConfiguredEndpoint: named } = config as {
    serviceConfiguredEndpoint?: () => Promise<string>;
  };
  const text = await named?.();
  return text === undefined ? undefined : new URL("/", text);
}
