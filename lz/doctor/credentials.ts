import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { timestamp } from "../../shared/time/clock.ts";
import { bad, type Check, good } from "./check.ts";

/**
 * Checks an edge's AWS credentials, as reported by its `/readyz` endpoint. Returns no checks if the
 * credentials are in order.
 */
export function checkEdgeCredentials({ credentials }: Readonly<Record<string, unknown>>): Check[] {
  const advice =
    'search its log for credentials.not-renewed and credentials.refused; see "AWS credentials" in docs/edge.md';
  const found = new Map<unknown, string>([
    ["not-renewed", "cannot be renewed: the current credentials work until they expire"],
    ["away", "not available"],
    ["refused", "rejected by AWS"],
  ]).get(credentials);
  return found === undefined ? [] : [bad("edge's AWS credentials", found, advice)];
}

/** Source and expiry of the credentials that the AWS SDK found for this command. */
export async function checkOwnCredentials({ config }: Pick<DynamoDBClient, "config">): Promise<Check> {
  try {
    const { expiration, $source = {} } = (await config.credentials()) as {
      expiration?: Date;
      $source?: object;
    };
    const source = Object.keys($source).map((name) => name.replace(/^CREDENTIALS_/, ""));
    const until = expiration ? `valid until ${timestamp(expiration.getTime())}` : "without expiry";
    return good("own AWS credentials", `${source.join(" by ") || "found"}, ${until}`);
  } catch (error) {
    const name = error instanceof Error ? error.name : "unknown";
    return bad("own AWS credentials", `not found (${name})`, "set AWS_PROFILE, or sign in to AWS");
  }
}
