import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { CredentialFault, type CredentialProvider } from "../../../../edge/credentials/types.ts";
import {
  createAwsCall,
  createDynamo,
  reachTable,
  UpstreamFault,
} from "../../../../edge/platform/aws-client.ts";
import { DynamoFault } from "../../../../shared/table/dynamo.ts";
import { dynamoJson, IMPOSTORS } from "../../../support/dynamo/dynamo-responses.ts";
import { localAccess } from "../../../support/nodes/aws-access.ts";

/** A fake DynamoDB that returns prepared responses in order. The last response repeats. */
const asked: Record<string, unknown>[] = [];
let answers: (() => Response)[] = [];
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  async fetch(request) {
    asked.push((await request.json()) as Record<string, unknown>);
    return (answers.length > 1 ? answers.shift()! : answers[0]!)();
  },
});
afterAll(() => server.stop(true));

const fine = () => dynamoJson({ Item: {} });
const refused =
  (code: string, status = 400, reasons?: string[]) =>
  () =>
    dynamoJson(
      {
        __type: `com.amazonaws.dynamodb.v20120810#${code}`,
        ...(reasons && { CancellationReasons: reasons.map((Code) => ({ Code })) }),
      },
      { status },
    );

let tokens = 0;
const call = createAwsCall(
  localAccess(async () => {}),
  "dynamodb",
  `http://127.0.0.1:${server.port}/`,
);
const dynamo = createDynamo(call, () => `token-${++tokens}`);
const transact = (more: object = {}) => dynamo("TransactWriteItems", { TransactItems: [], ...more });
const faultOf = (work: Promise<unknown>) => work.then(() => undefined).catch((error: unknown) => error);

beforeEach(() => {
  asked.length = 0;
  tokens = 0;
  answers = [fine];
});

describe("createDynamo()", () => {
  test("a retried transaction has the same token, so that it is executed once", async () => {
    answers = [refused("InternalServerError", 500), refused("TransactionInProgressException"), fine];
    await transact();
    await transact();
    expect(asked.map(({ ClientRequestToken }) => ClientRequestToken)).toEqual([
      "token-1",
      "token-1",
      "token-1",
      "token-2",
    ]);
    await transact({ ClientRequestToken: "of-the-caller" });
    expect(asked.at(-1)!.ClientRequestToken).toBe("of-the-caller");
    await dynamo("GetItem", { TableName: "t", Key: {} });
    expect(asked.at(-1)).not.toHaveProperty("ClientRequestToken");
  });

  test.each([
    ["a table short of throughput", refused("ProvisionedThroughputExceededException")],
    ["a throttled account", refused("ThrottlingException")],
    ["too many requests", refused("RequestLimitExceeded")],
    [
      "a transaction cancelled for throughput",
      refused("TransactionCanceledException", 400, ["None", "ProvisionedThroughputExceeded"]),
    ],
    [
      "a transaction cancelled for throttling",
      refused("TransactionCanceledException", 400, ["ThrottlingError", "None"]),
    ],
  ])("%s is retried, and is an error if it persists", async (_what, throttled) => {
    answers = [throttled, throttled, fine];
    await transact();
    expect(asked).toHaveLength(3);
    asked.length = 0;
    answers = [throttled];
    expect(await faultOf(transact())).toBeInstanceOf(UpstreamFault);
    expect(asked).toHaveLength(3);
  });

  test.each([
    ["a failed condition", refused("ConditionalCheckFailedException"), []],
    [
      "a transaction of which a condition failed and a part was throttled",
      refused("TransactionCanceledException", 400, ["ConditionalCheckFailed", "ThrottlingError"]),
      ["ConditionalCheckFailed", "ThrottlingError"],
    ],
    ["a malformed request", refused("ValidationException"), []],
  ])("%s is returned to the caller immediately", async (_what, refusal, reasons) => {
    answers = [refusal];
    const fault = await faultOf(transact());
    expect(fault).toBeInstanceOf(DynamoFault);
    expect((fault as DynamoFault).reasons).toEqual(reasons);
    expect(asked).toHaveLength(1);
  });

  test.each(IMPOSTORS)(
    "$is is not a response of DynamoDB: it is retried and never counts as written",
    async ({ answer }) => {
      answers = [answer, fine];
      expect<unknown>(await dynamo("GetItem", { TableName: "t", Key: {} })).toEqual({ Item: {} });
      asked.length = 0;
      answers = [answer];
      expect(await faultOf(transact())).toBeInstanceOf(UpstreamFault);
      expect(asked).toHaveLength(3);
    },
  );

  test("the media type can have parameters and any case, but must not only begin like DynamoDB's", async () => {
    const typed = (type: string) => () => new Response("{}", { headers: { "content-type": type } });
    for (const good of ["application/x-amz-json-1.0; charset=utf-8", "Application/X-Amz-JSON-1.0"]) {
      answers = [typed(good)];
      expect<unknown>(await transact()).toEqual({});
    }
    answers = [typed("application/x-amz-json-1.0x")];
    expect(await faultOf(transact())).toBeInstanceOf(UpstreamFault);
  });

  test("a redirect is not followed, because the request was signed for this address", async () => {
    answers = [
      () => new Response(null, { status: 307, headers: { location: `http://127.0.0.1:${server.port}/` } }),
    ];
    expect(await faultOf(transact())).toBeInstanceOf(UpstreamFault);
    expect(asked).toHaveLength(3);
  });

  test("the error code of an HTML error response is its status", async () => {
    answers = [() => new Response("<html>blocked</html>", { status: 403 })];
    const fault = await faultOf(transact());
    expect([fault instanceof DynamoFault, (fault as DynamoFault).code]).toEqual([true, "403"]);
  });
});

test("reachTable() accepts only a description of the configured table", async () => {
  answers = [() => dynamoJson({ Table: { TableName: "mine" } })];
  await reachTable(dynamo, "mine");
  expect(await faultOf(reachTable(dynamo, "other"))).toBeInstanceOf(UpstreamFault);
  answers = [() => dynamoJson({})];
  expect(await faultOf(reachTable(dynamo, "mine"))).toBeInstanceOf(UpstreamFault);
});

describe("createAwsCall() and credentials", () => {
  const old = { accessKeyId: "AKIAOLD", secretAccessKey: "old" };
  const newer = { accessKeyId: "AKIANEW", secretAccessKey: "new", sessionToken: "new-token" };
  const url = `http://127.0.0.1:${server.port}/`;
  const callWith = (credentials: CredentialProvider) =>
    createAwsCall({ credentials, region: "us-east-1", pause: async () => {} }, "dynamodb", url);

  test.each(["ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException", "InvalidClientTokenId"])(
    "%s leads to one retry with newer credentials",
    async (code) => {
      answers = [refused(code), fine];
      const replaced: unknown[] = [];
      const replace = async (...refusal: unknown[]) => {
        replaced.push(refusal);
        return newer;
      };
      const call = callWith({ get: async () => old, replace, problem: () => undefined });
      expect(await call("DynamoDB_20120810.GetItem", "{}")).toMatchObject({ ok: true });
      expect(replaced).toEqual([[old, code]]);
      expect(asked).toHaveLength(2);
    },
  );

  test("newer credentials that are rejected too are not replaced again", async () => {
    for (const given of [newer, undefined]) {
      asked.length = 0;
      answers = [refused("ExpiredTokenException")];
      let replaced = 0;
      const replace = async () => {
        replaced++;
        return given;
      };
      const call = callWith({ get: async () => old, replace, problem: () => undefined });
      const answer = await call("DynamoDB_20120810.GetItem", "{}");
      expect(answer).toMatchObject({ ok: false, refusal: { code: "ExpiredTokenException" } });
      expect([replaced, asked.length]).toEqual([1, given ? 2 : 1]);
    }
  });

  test("any other rejection replaces no credentials", async () => {
    answers = [refused("AccessDeniedException")];
    const replace = async () => {
      throw new Error("must not be asked");
    };
    const call = callWith({ get: async () => old, replace, problem: () => undefined });
    expect(await call("DynamoDB_20120810.GetItem", "{}")).toMatchObject({ ok: false });
  });

  test("without credentials nothing is sent, and the error is an outage that names the source", async () => {
    const fault = new CredentialFault("ec2-instance-metadata: the instance has no role");
    const none = () => Promise.reject(fault);
    const call = callWith({ get: none, replace: none, problem: () => "away" });
    const error = await faultOf(call("DynamoDB_20120810.GetItem", "{}"));
    expect(error).toBeInstanceOf(UpstreamFault);
    expect((error as Error).cause).toBe(fault);
    expect(asked).toEqual([]);
  });
});
