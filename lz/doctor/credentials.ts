import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { timestamp } from "../../shared/time/clock.ts";
import { bad, type Check, good } from "./check.ts";

/** What an edge says of its AWS credentials in `/readyz`; nothing while all is well. */
export function checkEdgeCredentials({ credentials }: Readonly<Record<string, unknown>>): Check[] {
  const advice =
    'read its log for credentials.not-renewed or credentials.refused: "AWS credentials" in docs/edge.md';
  const found = new Map<unknown, string>([
    ["not-renewed", "cannot be renewed: the present ones work until they expire"],
    ["away", "there are none"],
    ["refused", "AWS refuses them"],
  ]).get(credentials);
  return found === undefined ? [] : [bad("edge's AWS credentials", found, advice)];
}

/** Where this command's own credentials come from, as the AWS SDK found them, and until when they are valid. */
export async function checkOwnCredentials({ config }: Pick<DynamoDBClient, "config">): Promise<Check> {
  try {
    const { expiration, $source = {} } = (await config.credentials()) as {
      expiration?: Date;
      $source?: object;
    };
    const source = Object.keys($source).map((name) => name.replace(/^CREDENTIALS_/, ""));
    const until = expiration ? `valid until ${timestamp(expiration.getTime())}` : "without an end";
    return good("own AWS credentials", `${source.join(" by ") || "found"}, ${until}`);
  } catch (error) {
    const name = error instanceof Error ? error.name : "unknown";
    return bad("own AWS credentials", `none were found (${name})`, "set AWS_PROFILE, or sign in to AWS");
  }
}
