import { describe, expect, test } from "bun:test";
import { DynamoDBClient, type DynamoDBClientConfig } from "@aws-sdk/client-dynamodb";
import { checkEdgeCredentials, checkOwnCredentials } from "../../../../lz/doctor/credentials.ts";
import { clientCredentials } from "../../../../lz/platform/aws-credentials.ts";

test("checkEdgeCredentials() finds each problem that an edge reports, and none on a healthy edge", () => {
  for (const problem of ["not-renewed", "away", "refused"]) {
    const [check, ...more] = checkEdgeCredentials({ status: "ready", credentials: problem });
    expect([check?.state, check?.name, more]).toEqual(["not ok", "edge's AWS credentials", []]);
  }
  expect(checkEdgeCredentials({ status: "ready", queue: "here" })).toEqual([]);
});

describe("checkOwnCredentials()", () => {
  const client = (credentials: NonNullable<DynamoDBClientConfig["credentials"]>) =>
    new DynamoDBClient({ region: "us-east-1", credentials });

  test("reports the source and the expiry of the credentials, and never their values", async () => {
    const found = {
      accessKeyId: "ASIAFOUND",
      secretAccessKey: "own-secret",
      sessionToken: "own-token",
      expiration: new Date("2099-01-01T00:00:00Z"),
      $source: { CREDENTIALS_IMDS: "0" },
    };
    const check = await checkOwnCredentials(client(async () => found));
    expect(check.state).toBe("ok");
    expect(check.found).toContain("IMDS");
    expect(check.found).toContain("valid until 2099-01-01T00:00:00.000Z");
    expect(JSON.stringify(check)).not.toMatch(/own-secret|own-token/);
  });

  test("reports missing credentials", async () => {
    const check = await checkOwnCredentials(client(() => Promise.reject(new Error("secret reason"))));
    expect([check.state, check.found]).toEqual(["not ok", "not found (Error)"]);
  });
});

describe("clientCredentials()", () => {
  const local = { credentials: { accessKeyId: "local", secretAccessKey: "local" } };

  test("uses fixed keys for an embedded service if the environment has none", () => {
    expect(clientCredentials("http://127.0.0.1:8000", {})).toEqual(local);
    expect(clientCredentials("http://amazonaws.com.example.com", {})).toEqual(local);
  });

  test.each([
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
  ])("leaves credentials of %s to the SDK", (name) => {
    expect(clientCredentials("http://127.0.0.1:8000", { [name]: "x" })).toEqual({});
  });

  test("leaves the credentials for AWS to the SDK, also for a private endpoint: a role of EC2 is in no variable", () => {
    expect(clientCredentials(undefined, {})).toEqual({});
    const vpc = "https://vpce-1.dynamodb.eu-central-1.vpce.amazonaws.com";
    expect(clientCredentials(vpc, {})).toEqual({});
  });
});
