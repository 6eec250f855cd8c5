import { describe, expect, test } from "bun:test";
import { askedBy, queueArn, tableArn } from "../support/iam/aws-calls.ts";
import {
  type Asked,
  covers,
  decide,
  grantsOf,
  type PolicyDocument,
  type Statement,
} from "../support/iam/policy.ts";
import { policyOf, readTemplate } from "../support/iam/template.ts";

const TABLE = tableArn("t");
const policy = (...statements: Statement[]): PolicyDocument => ({
  Version: "2012-10-17",
  Statement: statements,
});
const allow = (Action: string | string[], Condition?: Statement["Condition"]): Statement => ({
  Effect: "Allow",
  Action,
  Resource: TABLE,
  ...(Condition && { Condition }),
});
const deny = (Action: string, Condition: Statement["Condition"]): Statement => ({
  ...allow(Action, Condition),
  Effect: "Deny",
});
const put = (...leadingKeys: string[]): Asked => ({
  action: "dynamodb:PutItem",
  resource: TABLE,
  leadingKeys,
});
const isAllowed = (document: PolicyDocument, asked: Asked) => decide(document, asked).isAllowed;
const keysLike = (set: string, ...patterns: string[]) => ({ [set]: { "dynamodb:LeadingKeys": patterns } });

describe("decide()", () => {
  test("denies anything that no statement allows: another action, another resource, or an empty policy", () => {
    const document = policy(allow("dynamodb:PutItem"));
    expect(isAllowed(document, put("a"))).toBe(true);
    expect(isAllowed(document, { ...put("a"), action: "dynamodb:DeleteItem" })).toBe(false);
    expect(isAllowed(document, { ...put("a"), resource: `${TABLE}/index/GSI1` })).toBe(false);
    expect(isAllowed(document, { ...put("a"), resource: tableArn("t2") })).toBe(false);
    expect(isAllowed(policy(), put("a"))).toBe(false);
  });

  test("a Deny wins over an Allow in any order", () => {
    const rule = deny("dynamodb:*", keysLike("ForAnyValue:StringLike", "secret*"));
    for (const document of [
      policy(allow("dynamodb:PutItem"), rule),
      policy(rule, allow("dynamodb:PutItem")),
    ]) {
      expect(isAllowed(document, put("open"))).toBe(true);
      expect(isAllowed(document, put("open", "secret1"))).toBe(false);
      expect(decide(document, put("secret1")).by).toBe(rule);
    }
  });

  test("ForAllValues checks every partition key, so a condition for tenant a excludes tenant ab", () => {
    const fence = policy(allow("dynamodb:*", keysLike("ForAllValues:StringLike", "TENANT#a", "TENANT#a#*")));
    expect(isAllowed(fence, put("TENANT#a", "TENANT#a#EVENTS"))).toBe(true);
    expect(isAllowed(fence, put("TENANT#ab"))).toBe(false);
    expect(isAllowed(fence, put("TENANT#ab#EVENTS"))).toBe(false);
    expect(isAllowed(fence, put("TENANT#a", "TENANT#ab"))).toBe(false);
  });

  test("without a key, ForAllValues is true and ForAnyValue is false, and Null distinguishes the two cases", () => {
    const all = keysLike("ForAllValues:StringEquals", "TENANT#a");
    const scan: Asked = { action: "dynamodb:Scan", resource: TABLE, leadingKeys: [] };
    expect(isAllowed(policy(allow("dynamodb:Scan", all)), scan)).toBe(true);
    const hasKeys = { ...all, Null: { "dynamodb:LeadingKeys": "false" } };
    expect(isAllowed(policy(allow("dynamodb:*", hasKeys)), scan)).toBe(false);
    expect(isAllowed(policy(allow("dynamodb:*", hasKeys)), put("TENANT#a"))).toBe(true);
    const some = keysLike("ForAnyValue:StringLike", "*");
    expect(isAllowed(policy(allow("dynamodb:*", some)), scan)).toBe(false);
  });

  test("only * and ? are wildcards, and actions are case-insensitive", () => {
    const like = (pattern: string, key: string) =>
      isAllowed(policy(allow("dynamodb:putitem", keysLike("ForAllValues:StringLike", pattern))), put(key));
    expect([like("a?c", "abc"), like("a?c", "ac"), like("a.c", "abc"), like("a*", "a#b#c")]).toEqual([
      true,
      false,
      false,
      true,
    ]);
    expect(like("A", "a")).toBe(false);
  });

  test.each([
    [{ StringLike: { "dynamodb:LeadingKeys": ["a"] } }],
    [{ "ForAnyValue:StringNotLike": { "dynamodb:LeadingKeys": ["a"] } }],
    [{ "ForAnyValue:StringLike": { "dynamodb:Attributes": ["a"] } }],
  ])("throws on a condition that it does not understand: %j", (condition) => {
    expect(() => decide(policy(allow("dynamodb:*", condition)), put("a"))).toThrow("not understood");
  });

  test("throws on NotAction and other unsupported elements instead of skipping the statement", () => {
    const odd = { ...allow("dynamodb:*"), NotResource: "x" } as Statement;
    expect(() => decide(policy(odd), put("a"))).toThrow("NotResource");
  });
});

describe("grantsOf()", () => {
  test("lists each action on each resource of each Allow, and covers() finds the one that a call used", () => {
    const both = { ...allow(["dynamodb:Query", "dynamodb:GetItem"]), Resource: [TABLE, `${TABLE}/index/*`] };
    const grants = grantsOf(policy(both, deny("dynamodb:GetItem", {})));
    expect(grants).toHaveLength(4);
    const query: Asked = { action: "dynamodb:Query", resource: `${TABLE}/index/GSI2`, leadingKeys: [] };
    expect(grants.filter((grant) => covers(grant, query))).toEqual([
      { action: "dynamodb:Query", resource: `${TABLE}/index/*` },
    ]);
  });
});

describe("askedBy()", () => {
  const DYNAMO = "DynamoDB_20120810";
  const key = (PK: string) => ({ PK: { S: PK }, SK: { S: "s" } });

  test("a transaction needs the permission of each item, with all their partition keys", () => {
    const TransactItems = [
      { Put: { TableName: "t", Item: key("TENANT#a") } },
      { Put: { TableName: "t", Item: key("TENANT#a#AUTHORITY") } },
      { Update: { TableName: "t", Key: key("TENANT#a") } },
      { Delete: { TableName: "t", Key: key("TENANT#a") } },
      { ConditionCheck: { TableName: "t", Key: key("TENANT#a") } },
    ];
    expect(askedBy(`${DYNAMO}.TransactWriteItems`, { TransactItems })).toEqual([
      { ...put("TENANT#a", "TENANT#a#AUTHORITY") },
      { action: "dynamodb:UpdateItem", resource: TABLE, leadingKeys: ["TENANT#a"] },
      { action: "dynamodb:DeleteItem", resource: TABLE, leadingKeys: ["TENANT#a"] },
      { action: "dynamodb:ConditionCheckItem", resource: TABLE, leadingKeys: ["TENANT#a"] },
    ]);
    const reads = { TransactItems: [{ Get: { TableName: "t", Key: key("b") } }] };
    expect(askedBy(`${DYNAMO}.TransactGetItems`, reads)).toEqual([
      { action: "dynamodb:GetItem", resource: TABLE, leadingKeys: ["b"] },
    ]);
  });

  test("a query of an index needs the permission for the index, and uses its partition key", () => {
    const query = {
      TableName: "t",
      IndexName: "GSI2",
      KeyConditionExpression: "#p = :p AND GSI2SK < :s",
      ExpressionAttributeNames: { "#p": "GSI2PK" },
      ExpressionAttributeValues: { ":p": { S: "TENANT#a#OUTBOX" }, ":s": { S: "z" } },
    };
    expect(askedBy(`${DYNAMO}.Query`, query)).toEqual([
      { action: "dynamodb:Query", resource: `${TABLE}/index/GSI2`, leadingKeys: ["TENANT#a#OUTBOX"] },
    ]);
    expect(() => askedBy(`${DYNAMO}.Query`, { ...query, KeyConditionExpression: "GSI2SK = :s" })).toThrow();
  });

  test("a batch names every table with all its keys", () => {
    const RequestItems = { t: { Keys: [key("a"), key("ab")] }, u: { Keys: [key("c")] } };
    expect(askedBy(`${DYNAMO}.BatchGetItem`, { RequestItems })).toEqual([
      { action: "dynamodb:BatchGetItem", resource: TABLE, leadingKeys: ["a", "ab"] },
      { action: "dynamodb:BatchGetItem", resource: tableArn("u"), leadingKeys: ["c"] },
    ]);
  });

  test("queue batches need the permission of the single call, and unknown calls throw", () => {
    const QueueUrl = "http://127.0.0.1:1/000000000000/q";
    expect(askedBy("AmazonSQS.DeleteMessageBatch", { QueueUrl })).toEqual([
      { action: "sqs:DeleteMessage", resource: queueArn("q"), leadingKeys: [] },
    ]);
    for (const target of ["AmazonSQS.PurgeQueue", `${DYNAMO}.ExecuteStatement`, "Lambda.Invoke"])
      expect(() => askedBy(target, { QueueUrl })).toThrow("not known");
  });
});

describe("readTemplate()", () => {
  /** Returns the text `${name}`. A template string would interpolate this text. */
  const field = (name: string) => `$\{${name}}`;
  const names = { references: { Name: "n" }, attributes: { "Table.Arn": TABLE } };
  const document = (resource: string) => `
Resources:
  P:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      PolicyDocument:
        Statement: # !Unknown in a comment is nothing
          - { Effect: Allow, Action: a, Resource: ${resource} }
`;
  const resourceOf = (resource: string) =>
    policyOf(readTemplate(document(resource), names), "P").Statement[0]!.Resource;

  test("resolves Ref, GetAtt and Sub in their short and long forms", () => {
    expect(
      resourceOf(`[!GetAtt Table.Arn, !Sub "${field("Table.Arn")}/index/${field("Name")}", !Ref Name]`),
    ).toEqual([TABLE, `${TABLE}/index/n`, "n"]);
    expect(resourceOf('{ "Fn::GetAtt": Table.Arn }')).toBe(TABLE);
  });

  test.each(["!If [a, b, c]", '{ "Fn::Join": ["", []] }', "!GetAtt Other.Arn", `!Sub "${field("Other")}"`])(
    "throws for the unsupported %s",
    (resource) => expect(() => resourceOf(resource)).toThrow(/not know|one text/),
  );
});
