import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type EmbeddedDynamodb, startDynamodb } from "../../../local/dynamodb.ts";
import { createTable, embeddedClient } from "../../../local/table.ts";
import type { Dynamo } from "../../../shared/table/dynamo.ts";
import { createDynamo } from "../../../worker/platform/dynamodb-client.ts";
import { answerTo, CONFORMANCE } from "../../support/dynamo/dynamo-conformance.ts";

const TABLE = "conformance";
const CANCELLED = "TransactionCanceledException ValidationError";
const EMPTY = { Count: 0, ScannedCount: 0 };

/**
 * Cases in which the embedded DynamoDB (@dynoxide/linux-x64 1.2.1) differs from the AWS documentation. The
 * value is the response of the embedded DynamoDB. It accepts or ignores what AWS rejects, so only the
 * in-memory table detects such faults in the product. If a case behaves as documented after a package update,
 * this test fails. Then remove the case from the list.
 */
const DEVIATIONS: Record<string, string | object> = {
  // The embedded DynamoDB checks the lengths of table keys, but not the lengths of index keys.
  "a sort key of an index beyond 1,024 bytes is refused": {},
  // The embedded DynamoDB compares values of any type. The result of the comparison is false.
  "an order between booleans is refused": "ConditionalCheckFailedException",
  // The embedded DynamoDB limits the length of an expression, but not the number of its operators and
  // operands.
  "IN with 101 operands is refused": {},
  "an expression of more than 300 operators is refused": {},
  // The embedded DynamoDB compares keys with values of any type, and finds no items.
  "a sort key compared with a number is refused": EMPTY,
  "an empty value for a key is refused": EMPTY,
  // The embedded DynamoDB does not check a start key against the key condition, and finds no items.
  "a starting key of another partition is refused": EMPTY,
  "a starting key outside of the range is refused": EMPTY,
  // The embedded DynamoDB parses the expressions of a transaction one by one. It cancels the transaction
  // instead of rejecting the request.
  "a syntax error in a transaction is refused": CANCELLED,
  "an unused value in a transaction is refused": CANCELLED,
};

let embedded: EmbeddedDynamodb;
let dynamo: Dynamo;

beforeAll(async () => {
  embedded = await startDynamodb(() => {});
  const client = embeddedClient(embedded.endpoint);
  await createTable(client, TABLE);
  const token = () => crypto.randomUUID();
  dynamo = createDynamo(client, { clock: Date.now, pause: async () => {}, token });
});

afterAll(() => embedded.stage.stop());

describe("the embedded DynamoDB behaves as AWS documents, except for the listed deviations", () => {
  test.each(CONFORMANCE.map((one) => [one.name, one] as const))("%s", async (name, one) => {
    const right = DEVIATIONS[name] ?? one.answer;
    const answer = await answerTo(one, dynamo, TABLE);
    if (typeof right === "string") expect(answer).toBe(right);
    else expect(answer).toMatchObject(right);
  });

  test("every listed deviation belongs to a case and differs from the documentation", () => {
    for (const [name, answer] of Object.entries(DEVIATIONS))
      expect(CONFORMANCE.find((one) => one.name === name)?.answer ?? answer).not.toEqual(answer);
  });
});
