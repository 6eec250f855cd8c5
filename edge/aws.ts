import { AwsClient } from "aws4fetch";
import { type Dynamo, DynamoFault } from "../shared/table/dynamo.ts";
import type { EdgeConfig } from "./config.ts";

/** One try must answer within this, all tries within twice of it: the agent waits for the 202. */
const TRY_TIMEOUT_MS = 2000;
const TRIES_MAX = 3;
const RETRY_PAUSE_MS = 25;

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
        if (response.status < 500) return response;
        await response.body?.cancel();
        fault = new Error(`${service} answered ${response.status}`);
      } catch (error) {
        fault = error;
      }
    }
    throw new UpstreamFault(`${service} could not be reached`, { cause: fault });
  };
}

/** DynamoDB over {@link AwsCall}. A refusal becomes a {@link DynamoFault} with its cancellation reasons. */
export function createDynamo(call: AwsCall): Dynamo {
  return async (operation, input) => {
    const response = await call(`DynamoDB_20120810.${operation}`, JSON.stringify(input));
    const answer = (await response.json()) as Record<string, unknown>;
    if (response.ok) return answer as never;
    const code = String(answer.__type ?? response.status).replace(/^.*#/, "");
    const reasons = (answer.CancellationReasons ?? []) as { Code?: string }[];
    throw new DynamoFault(
      code,
      reasons.map((reason) => reason.Code ?? "None"),
    );
  };
}

export const dynamoUrl = (config: EdgeConfig): string =>
  config.DYNAMODB_ENDPOINT ?? `https://dynamodb.${config.AWS_REGION}.amazonaws.com/`;
