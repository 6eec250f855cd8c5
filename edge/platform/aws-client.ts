import { AwsClient } from "aws4fetch";
import { parseJsonObject } from "../../shared/encoding/json-object.ts";
import { type Dynamo, DynamoFault, isDynamoContentType } from "../../shared/table/dynamo.ts";
import { backoffCeilingMs } from "../../shared/time/backoff.ts";
import { CredentialFault, type CredentialProvider, type Credentials } from "../credentials/types.ts";

/**
 * Timeout of one try in milliseconds. All tries together take about three times as long, while the agent
 * waits for the 202 response.
 */
const TRY_TIMEOUT_MS = 2000;
const TRIES_MAX = 3;
const RETRY_PAUSE_MS = 25;
const RETRY_PAUSE_MS_MAX = 100;

/** Exceptions of DynamoDB and SQS with status 400 after which a retry can succeed. */
const PASSING = new Set([
  "LimitExceededException",
  "ProvisionedThroughputExceededException",
  "RequestLimitExceeded",
  "RequestThrottled",
  "ThrottlingException",
  "TransactionInProgressException",
]);
/**
 * Cancellation reasons of a transaction after which a retry can succeed. The reason "None" stands for an item
 * that was not refused.
 */
const PASSING_REASONS = new Set([
  "None",
  "ProvisionedThroughputExceeded",
  "ThrottlingError",
  "ThrottlingException",
]);
/** Exceptions that mean expired or replaced credentials (DynamoDB and SQS API Reference, "Common errors"). */
const REFUSED_CREDENTIALS = new Set([
  "ExpiredToken",
  "ExpiredTokenException",
  "InvalidClientTokenId",
  "UnrecognizedClientException",
]);

/**
 * A service that the edge needs failed or returned no valid response. The caller gets a 503 response and can
 * retry.
 */
export class UpstreamFault extends Error {
  override name = "UpstreamFault";
}

/** Response of an AWS service: its JSON object, or its error. */
export type AwsAnswer =
  | { ok: true; value: Record<string, unknown> }
  | { ok: false; status: number; refusal: AwsRefusal };

/**
 * Error of an AWS service. `code` is the name of the exception, or empty if the response has no name. `reasons` are the
 * cancellation reasons of a transaction.
 */
export type AwsRefusal = { code: string; message: string; reasons: string[] };

/**
 * Sends one request and returns the response of the service. Rejects with {@link UpstreamFault} after {@link
 * TRIES_MAX} failed tries. A try fails if there is no connection, or if the response is a 5xx, a redirect, or
 * a 200 that is not JSON (from a captive portal or a proxy).
 */
export type AwsCall = (target: string, body: string) => Promise<AwsAnswer>;

export type AwsAccess = {
  credentials: CredentialProvider;
  region: string;
  pause: (ms: number) => Promise<void>;
};

/**
 * Creates signed calls to one AWS service with its JSON protocol. `target` is the value of `X-Amz-Target`. If
 * the service refuses the credentials, the call is repeated once with newer credentials.
 */
export function createAwsCall(
  { credentials, region, pause }: AwsAccess,
  service: "dynamodb" | "sqs",
  url: string,
): AwsCall {
  const clientOf = createClients(service, region);

  async function attempt(signedBy: Credentials, target: string, body: string): Promise<Attempt> {
    try {
      const response = await clientOf(signedBy).fetch(url, {
        method: "POST",
        headers: { "content-type": "application/x-amz-json-1.0", "x-amz-target": target },
        body,
        redirect: "manual", // The signature is only valid for this URL. workerd does not support "error".
        signal: AbortSignal.timeout(TRY_TIMEOUT_MS),
      });
      const { status } = response;
      const value = parseJsonObject(await response.text());
      if (status === 200) {
        if (value && isOwnAnswer(service, response.headers)) return { ok: true, value };
        return {
          fault: new Error(`the response with status 200 is not from ${service}: check the endpoint`),
        };
      }
      const refusal = status >= 400 && status < 500 ? refusalOf(value) : undefined;
      if (refusal && !isPassing(refusal)) return { ok: false, status, refusal };
      return { fault: new Error(`${service} responded with ${status} ${refusal?.code ?? ""}`.trimEnd()) };
    } catch (error) {
      return { fault: error };
    }
  }

  async function send(signedBy: Credentials, target: string, body: string): Promise<AwsAnswer> {
    let fault: unknown;
    for (let tried = 0; tried < TRIES_MAX; tried++) {
      if (tried > 0) await pause(backoffCeilingMs(tried, RETRY_PAUSE_MS, RETRY_PAUSE_MS_MAX));
      const made = await attempt(signedBy, target, body);
      if ("ok" in made) return made;
      ({ fault } = made);
    }
    throw new UpstreamFault(`cannot reach ${service}`, { cause: fault });
  }

  return async (target, body) => {
    try {
      const first = await credentials.get();
      const answer = await send(first, target, body);
      if (answer.ok || !REFUSED_CREDENTIALS.has(answer.refusal.code)) return answer;
      const newer = await credentials.replace(first, answer.refusal.code);
      return newer ? await send(newer, target, body) : answer;
    } catch (error) {
      if (!(error instanceof CredentialFault)) throw error;
      throw new UpstreamFault(`cannot call ${service}: no valid AWS credentials`, { cause: error });
    }
  };
}

type Attempt = AwsAnswer | { fault: unknown };

/**
 * Returns the client for the current credentials. The client is cached, because it caches the signing key of
 * the day.
 */
function createClients(service: string, region: string): (credentials: Credentials) => AwsClient {
  let kept: { credentials: Credentials; client: AwsClient } | undefined;
  return (credentials) => {
    if (kept?.credentials !== credentials) {
      const { accessKeyId, secretAccessKey, sessionToken } = credentials;
      const client = new AwsClient({
        accessKeyId,
        secretAccessKey,
        ...(sessionToken !== undefined && { sessionToken }),
        region,
        service,
        retries: 0, // The default is ten retries without a timeout. send() limits both.
      });
      kept = { credentials, client };
    }
    return kept.client;
  };
}

/**
 * Whether the response comes from the AWS service itself. DynamoDB responds to a write with `{}`, so only the
 * content type distinguishes its response from that of another JSON server. A response of SQS contains the
 * message id or the queue's ARN, which the caller checks.
 */
const isOwnAnswer = (service: "dynamodb" | "sqs", headers: Headers): boolean =>
  service === "sqs" || isDynamoContentType(headers.get("content-type"));

/** Reads the exception and the cancellation reasons from an error response. */
function refusalOf(value: Record<string, unknown> = {}): AwsRefusal {
  const reasons = Array.isArray(value.CancellationReasons) ? value.CancellationReasons : [];
  return {
    code: String(value.__type ?? "").replace(/^.*#/, ""),
    message: String(value.message ?? value.Message ?? ""),
    reasons: reasons.map((reason: { Code?: string } | null) => reason?.Code ?? "None"),
  };
}

const isPassing = ({ code, reasons }: AwsRefusal): boolean =>
  PASSING.has(code) ||
  (code === "TransactionCanceledException" &&
    reasons.length > 0 &&
    reasons.every((reason) => PASSING_REASONS.has(reason)));

/**
 * Creates a DynamoDB client on top of {@link AwsCall}. An error becomes a {@link DynamoFault} with its
 * cancellation reasons.
 *
 * @param token creates a new `ClientRequestToken` per transaction. All tries use the same token. DynamoDB
 * therefore commits the transaction once, and a retry after a lost response does not conflict with the first
 * try.
 */
export function createDynamo(call: AwsCall, token: () => string): Dynamo {
  return async (operation, input) => {
    const isTransaction = operation === "TransactWriteItems";
    const body = JSON.stringify(isTransaction ? { ClientRequestToken: token(), ...input } : input);
    const answer = await call(`DynamoDB_20120810.${operation}`, body);
    if (answer.ok) return answer.value as never;
    const { code, reasons } = answer.refusal;
    throw new DynamoFault(code === "" ? String(answer.status) : code, reasons);
  };
}

export const dynamoUrl = (config: { DYNAMODB_ENDPOINT?: string | undefined; AWS_REGION: string }): string =>
  config.DYNAMODB_ENDPOINT ?? `https://dynamodb.${config.AWS_REGION}.amazonaws.com/`;

/** Resolves if DynamoDB describes the given table. */
export async function reachTable(dynamo: Dynamo, table: string): Promise<void> {
  const { Table } = await dynamo("DescribeTable", { TableName: table });
  if (Table?.TableName !== table)
    throw new UpstreamFault(`unexpected response from DynamoDB: it does not describe the table ${table}`);
}
