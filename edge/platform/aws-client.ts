import { AwsClient } from "aws4fetch";
import { parseJsonObject } from "../../shared/encoding/json-object.ts";
import { type Dynamo, DynamoFault, isDynamoContentType } from "../../shared/table/dynamo.ts";
import { CredentialFault, type CredentialProvider, type Credentials } from "../credentials/types.ts";

/** One try must answer within this, all of them within some three times as long: the agent waits for the 202. */
const TRY_TIMEOUT_MS = 2000;
const TRIES_MAX = 3;
const RETRY_PAUSE_MS = 25;

/** Refusals with status 400 that pass by themselves, as DynamoDB and SQS name them. */
const PASSING = new Set([
  "LimitExceededException",
  "ProvisionedThroughputExceededException",
  "RequestLimitExceeded",
  "RequestThrottled",
  "ThrottlingException",
  "TransactionInProgressException",
]);
/** Why one item of a cancelled transaction was refused, when that passes by itself; "None" was not refused. */
const PASSING_REASONS = new Set([
  "None",
  "ProvisionedThroughputExceeded",
  "ThrottlingError",
  "ThrottlingException",
]);
/** Credentials that are refused: they have expired, or were replaced (DynamoDB and SQS, "Common errors"). */
const REFUSED_CREDENTIALS = new Set([
  "ExpiredToken",
  "ExpiredTokenException",
  "InvalidClientTokenId",
  "UnrecognizedClientException",
]);

/** A dependency did not do its part. The caller gets a 503 and may come again. */
export class UpstreamFault extends Error {
  override name = "UpstreamFault";
}

/** The JSON object that the service answered with, or its refusal. */
export type AwsAnswer =
  | { ok: true; value: Record<string, unknown> }
  | { ok: false; status: number; refusal: AwsRefusal };

/** `code`: the exception's name; empty when the answer names none. `reasons`: of a cancelled transaction. */
export type AwsRefusal = { code: string; message: string; reasons: string[] };

/**
 * Sends one request and returns the service's own answer. Rejects with {@link UpstreamFault} when there is none after
 * {@link TRIES_MAX} tries: no connection, a 5xx, a redirect, or a 200 that is not JSON (a captive portal, a proxy).
 */
export type AwsCall = (target: string, body: string) => Promise<AwsAnswer>;

export type AwsAccess = {
  credentials: CredentialProvider;
  region: string;
  pause: (ms: number) => Promise<void>;
};

/**
 * Signed JSON-protocol calls to one AWS service: `target` is the value of `X-Amz-Target`. When the service refuses the
 * credentials, the call is repeated once with newer ones.
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
        redirect: "manual", // the request is signed for this address; workerd knows no "error"
        signal: AbortSignal.timeout(TRY_TIMEOUT_MS),
      });
      const { status } = response;
      const value = parseJsonObject(await response.text());
      if (status === 200) {
        if (value && isOwnAnswer(service, response.headers)) return { ok: true, value };
        return { fault: new Error(`${service} answered 200 with something that is not its own answer`) };
      }
      const refusal = status >= 400 && status < 500 ? refusalOf(value) : undefined;
      if (refusal && !isPassing(refusal)) return { ok: false, status, refusal };
      return { fault: new Error(`${service} answered ${status} ${refusal?.code ?? ""}`.trimEnd()) };
    } catch (error) {
      return { fault: error };
    }
  }

  async function send(signedBy: Credentials, target: string, body: string): Promise<AwsAnswer> {
    let fault: unknown;
    for (let tried = 0; tried < TRIES_MAX; tried++) {
      if (tried > 0) await pause(RETRY_PAUSE_MS * 2 ** tried);
      const made = await attempt(signedBy, target, body);
      if ("ok" in made) return made;
      ({ fault } = made);
    }
    throw new UpstreamFault(`${service} could not be reached`, { cause: fault });
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
      throw new UpstreamFault(`${service} cannot be called without AWS credentials`, { cause: error });
    }
  };
}

type Attempt = AwsAnswer | { fault: unknown };

/** The client of the present credentials is kept: it caches the signing key of the day. */
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
        retries: 0, // its own default is ten tries without a timeout; the loop in send() has a bound on both
      });
      kept = { credentials, client };
    }
    return kept.client;
  };
}

/**
 * DynamoDB answers a write with `{}`, which any JSON server could: its content type tells it from others. What SQS
 * answers names the message or the queue, which the caller checks (ElasticMQ sends it as `application/json`).
 */
const isOwnAnswer = (service: "dynamodb" | "sqs", headers: Headers): boolean =>
  service === "sqs" || isDynamoContentType(headers.get("content-type"));

/** Exception and cancellation reasons of an answer that is not success. */
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
 * DynamoDB over {@link AwsCall}. A refusal becomes a {@link DynamoFault} with its cancellation reasons.
 *
 * @param token a new one each time: a transaction that is tried again, because its answer was lost, is carried out
 *   once, and says so instead of losing against itself
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

/** Resolves when DynamoDB describes this very table. */
export async function reachTable(dynamo: Dynamo, table: string): Promise<void> {
  const { Table } = await dynamo("DescribeTable", { TableName: table });
  if (Table?.TableName !== table) throw new UpstreamFault(`dynamodb did not describe the table ${table}`);
}
