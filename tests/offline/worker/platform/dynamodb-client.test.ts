import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { AwsV4Signer } from "aws4fetch";
import { DynamoFault } from "../../../../shared/table/dynamo.ts";
import { CALL_TIMEOUT_MS, createDynamo } from "../../../../worker/platform/dynamodb-client.ts";
import { createSigner } from "../../../../worker/platform/sigv4.ts";
import { dynamoJson, IMPOSTORS } from "../../../support/dynamo/dynamo-responses.ts";

const NOW = Date.parse("2026-11-20T12:00:00.000Z");
const CREDENTIALS = {
  accessKeyId: "AKIDEXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
};

/**
 * A DynamoDB stub, and the requests that it received. It returns the given responses in order, and repeats
 * the last one.
 */
const asked: {
  target: string | null;
  body: Record<string, unknown>;
  authorization: string | null;
  date: string | null;
}[] = [];
let answers: (() => Response | Promise<Response>)[] = [];
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  async fetch(request) {
    const { headers } = request;
    // An agent on this host can also send requests to this port. These are not counted.
    if (!headers.has("x-amz-target")) return new Response(null, { status: 404 });
    asked.push({
      target: headers.get("x-amz-target"),
      body: (await request.json()) as Record<string, unknown>,
      authorization: headers.get("authorization"),
      date: headers.get("x-amz-date"),
    });
    return (answers.length > 1 ? answers.shift()! : answers[0]!)();
  },
});
afterAll(() => server.stop(true));

const fine =
  (answer: object = {}) =>
  () =>
    dynamoJson(answer);
const refused =
  (code: string, status = 400, more: object = {}, headers = {}) =>
  () =>
    dynamoJson({ __type: `com.amazonaws.dynamodb.v20120810#${code}`, ...more }, { status, headers });
const get = { TableName: "t", Key: { PK: { S: "a" }, SK: { S: "b" } } };

let pauses: number[] = [];
let renewed = 0;
function createAll(credentials: object = CREDENTIALS, pauseMs = 0) {
  let now = NOW;
  let tokens = 0;
  const client = new DynamoDBClient({
    region: "eu-central-1",
    endpoint: `http://127.0.0.1:${server.port}`,
    credentials: async () => {
      renewed++;
      return credentials as typeof CREDENTIALS;
    },
    maxAttempts: 4,
  });
  const dynamo = createDynamo(client, {
    clock: () => now,
    pause: async (round) => {
      pauses.push(round);
      now += pauseMs;
    },
    token: () => `token-${tokens++}`,
  });
  return { dynamo };
}
beforeEach(() => {
  asked.length = 0;
  pauses = [];
  renewed = 0;
  answers = [fine()];
});

describe("createSigner()", () => {
  for (const sessionToken of [undefined, "IQoJb3JpZ2luX2VjE=="]) {
    test(`signs like aws4fetch, ${sessionToken ? "with" : "without"} a session token`, async () => {
      const body = JSON.stringify({ ...get, name: "größer ✓" });
      const credentials = { ...CREDENTIALS, ...(sessionToken && { sessionToken }) };
      const sign = createSigner("dynamodb", "eu-central-1");
      const host = "dynamodb.eu-central-1.amazonaws.com";
      const ours = sign({ host, target: "DynamoDB_20120810.GetItem", body }, credentials, NOW);
      const theirs = await new AwsV4Signer({
        url: `https://${host}/`,
        method: "POST",
        headers: {
          "content-type": "application/x-amz-json-1.0",
          "x-amz-target": "DynamoDB_20120810.GetItem",
        },
        body,
        ...credentials,
        service: "dynamodb",
        region: "eu-central-1",
        datetime: "20261120T120000Z",
        allHeaders: true,
      }).sign();
      expect(ours.authorization).toBe(theirs.headers.get("authorization")!);
      expect(ours["x-amz-security-token"]).toBe(sessionToken as string);
    });
  }

  test("uses a different signing key for another day and other credentials", () => {
    const sign = createSigner("dynamodb", "eu-central-1");
    const request = { host: "h", target: "t", body: "{}" };
    const signatures = [
      sign(request, CREDENTIALS, NOW),
      sign(request, CREDENTIALS, NOW + 24 * 3_600_000),
      sign(request, { ...CREDENTIALS, secretAccessKey: "other" }, NOW),
      sign(request, CREDENTIALS, NOW),
    ].map(({ authorization }) => authorization!);
    expect(new Set(signatures).size).toBe(3);
    expect(signatures[0]).toBe(signatures[3]!);
  });
});

describe("createDynamo()", () => {
  test("sends requests of the JSON protocol with region and credentials from the SDK's configuration", async () => {
    answers = [fine({ Item: { PK: { S: "a" } } })];
    expect<unknown>(await createAll().dynamo("GetItem", get)).toEqual({ Item: { PK: { S: "a" } } });
    expect(asked).toMatchObject([
      { target: "DynamoDB_20120810.GetItem", body: get, date: "20261120T120000Z" },
    ]);
    expect(asked[0]!.authorization).toContain("Credential=AKIDEXAMPLE/20261120/eu-central-1/dynamodb/");
  });

  test("an error has its code, and the reasons of a cancelled transaction in order, without a retry", async () => {
    const reasons = { CancellationReasons: [{ Code: "None" }, { Code: "ConditionalCheckFailed" }] };
    answers = [refused("TransactionCanceledException", 400, reasons)];
    const fault = await createAll()
      .dynamo("TransactWriteItems", { TransactItems: [] })
      .catch((error) => error);
    expect(fault).toBeInstanceOf(DynamoFault);
    expect([fault.code, fault.reasons]).toEqual([
      "TransactionCanceledException",
      ["None", "ConditionalCheckFailed"],
    ]);
    answers = [refused("ConditionalCheckFailedException")];
    await expect(createAll().dynamo("PutItem", { TableName: "t", Item: {} })).rejects.toMatchObject({
      code: "ConditionalCheckFailedException",
    });
    expect(pauses).toEqual([]);
  });

  const PASSING = [
    refused("ThrottlingException"),
    refused("ProvisionedThroughputExceededException"),
    refused("InternalServerError", 500),
    () => new Response("busy", { status: 503 }),
  ];
  for (const [number, passing] of PASSING.entries()) {
    test(`retries transient errors (${number}) with growing pauses`, async () => {
      answers = [passing, passing, fine({ Count: 1 })];
      expect<unknown>(await createAll().dynamo("Query", { TableName: "t" })).toEqual({ Count: 1 });
      expect(pauses).toEqual([1, 2]);
    });
  }

  test("gives up after the configured number of attempts, or after the timeout of a call", async () => {
    answers = [refused("ThrottlingException")];
    for (const [pauseMs, attempts] of [
      [0, 4],
      [3000, 3], // the fourth attempt would begin after the timeout
    ] as const) {
      asked.length = 0;
      const { dynamo } = createAll(CREDENTIALS, pauseMs);
      await expect(dynamo("GetItem", get)).rejects.toMatchObject({ code: "ThrottlingException" });
      expect(asked).toHaveLength(attempts);
    }
    expect(CALL_TIMEOUT_MS).toBeLessThan(10_000);
  });

  test("a retried transaction has the same token, and each transaction its own", async () => {
    answers = [refused("TransactionInProgressException"), fine()];
    const { dynamo } = createAll();
    await dynamo("TransactWriteItems", { TransactItems: [] });
    await dynamo("TransactWriteItems", { TransactItems: [] });
    expect(asked.map(({ body }) => body.ClientRequestToken)).toEqual(["token-0", "token-0", "token-1"]);
  });

  test("retries a broken connection and a body that is not JSON", async () => {
    answers = [() => new Response("{", { headers: { "content-length": "1" } }), fine({ Count: 2 })];
    expect<unknown>(await createAll().dynamo("Query", { TableName: "t" })).toEqual({ Count: 2 });
  });

  test.each(IMPOSTORS)(
    "$is is not a response of DynamoDB: it is retried and never counts as written",
    async ({ answer }) => {
      answers = [answer, fine({ Count: 2 })];
      expect<unknown>(await createAll().dynamo("Query", { TableName: "t" })).toEqual({ Count: 2 });
      asked.length = 0;
      answers = [answer];
      await expect(createAll().dynamo("PutItem", { TableName: "t", Item: {} })).rejects.toMatchObject({
        name: "DynamoFault",
        code: "Unreachable",
      });
      expect(asked).toHaveLength(4);
    },
  );

  test("fetches new credentials once after an early expiry, and gives up if those are refused too", async () => {
    answers = [refused("ExpiredTokenException"), fine()];
    await createAll().dynamo("GetItem", get);
    expect(renewed).toBeGreaterThan(1);
    answers = [refused("ExpiredTokenException")];
    asked.length = 0;
    await expect(createAll().dynamo("GetItem", get)).rejects.toMatchObject({ code: "ExpiredTokenException" });
    expect(asked).toHaveLength(2);
  });

  test("corrects a wrong clock by the Date header", async () => {
    const date = new Date(NOW + 3_600_000).toUTCString();
    answers = [refused("InvalidSignatureException", 400, {}, { date }), fine()];
    await createAll().dynamo("GetItem", get);
    expect(asked.map(({ date }) => date!.slice(9, 13))).toEqual(["1200", "1300"]);
    answers = [refused("InvalidSignatureException", 400, {}, { date: new Date(NOW).toUTCString() })];
    await expect(createAll().dynamo("GetItem", get)).rejects.toMatchObject({
      code: "InvalidSignatureException",
    });
  });

  test("errors contain no key, token or body", async () => {
    answers = [refused("ValidationException", 400, { message: "AKIDEXAMPLE" })];
    const fault = await createAll({ ...CREDENTIALS, sessionToken: "tok" })
      .dynamo("GetItem", get)
      .catch((error) => error);
    expect(`${fault} ${fault.cause}`).not.toMatch(/AKIDEXAMPLE|wJalr|tok"|"PK"/);
  });
});
