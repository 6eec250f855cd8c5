import { AwsClient } from "aws4fetch";
import { type Dynamo, DynamoFault } from "../shared/table/dynamo.ts";
import type { EdgeConfig } from "./config.ts";

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

/** A dependency did not do its part. The caller gets a 503 and may come again. */
export class UpstreamFault extends Error {
  override name = "UpstreamFault";
}

export type AwsCall = (target: string, body: string) => Promise<Response>;

/** Signed JSON-protocol calls to one AWS service: `target` is the value of `X-Amz-Target`. */
export function createAwsCall(
  config: EdgeConfig,
  service: "dynamodb" | "sqs",
  url: string,
  pause: (ms: number) => Promise<void>,
): AwsCall {
  const aws = new AwsClient({
    accessKeyId: config.AWS_ACCESS_KEY_ID,
    secretAccessKey: config.AWS_SECRET_ACCESS_KEY,
    ...(config.AWS_SESSION_TOKEN && { sessionToken: config.AWS_SESSION_TOKEN }),
    region: config.AWS_REGION,
    service,
    retries: 0, // its own default is ten tries without a timeout; the loop below has a bound on both
  });
  return async (target, body) => {
    let fault: unknown;
    for (let tried = 0; tried < TRIES_MAX; tried++) {
      if (tried > 0) await pause(RETRY_PAUSE_MS * 2 ** tried);
      try {
        const response = await aws.fetch(url, {
          method: "POST",
          headers: { "content-type": "application/x-amz-json-1.0", "x-amz-target": target },
          body,
          signal: AbortSignal.timeout(TRY_TIMEOUT_MS),
        });
        if (response.status < 400) return response;
        const text = await response.text();
        const refusal = response.status < 500 ? refusalOf(text) : undefined;
        if (refusal && !isPassing(refusal)) return new Response(text, response);
        fault = new Error(`${service} answered ${response.status} ${refusal?.code ?? ""}`.trimEnd());
      } catch (error) {
        fault = error;
      }
    }
    throw new UpstreamFault(`${service} could not be reached`, { cause: fault });
  };
}

type Refused = { code: string; reasons: string[] };

/** Exception and cancellation reasons of an answer that is not success. */
function refusalOf(text: string): Refused {
  const parsed = parse(text);
  const reasons = (parsed.CancellationReasons ?? []) as { Code?: string }[];
  return {
    code: String(parsed.__type ?? "").replace(/^.*#/, ""),
    reasons: reasons.map((reason) => reason.Code ?? "None"),
  };
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

const isPassing = ({ code, reasons }: Refused): boolean =>
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
    const response = await call(`DynamoDB_20120810.${operation}`, body);
    if (response.ok) return (await response.json()) as never;
    const { code, reasons } = refusalOf(await response.text());
    throw new DynamoFault(code === "" ? String(response.status) : code, reasons);
  };
}

export const dynamoUrl = (config: EdgeConfig): string =>
  config.DYNAMODB_ENDPOINT ?? `https://dynamodb.${config.AWS_REGION}.amazonaws.com/`;
