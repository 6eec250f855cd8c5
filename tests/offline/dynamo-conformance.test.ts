import { describe, expect, test } from "bun:test";
import { answerTo, CONFORMANCE } from "../support/dynamo/dynamo-conformance.ts";
import { createMemoryDynamo } from "../support/dynamo/memory-dynamo.ts";

describe("the in-memory table behaves as AWS documents", () => {
  test.each(CONFORMANCE.map((one) => [one.name, one] as const))("%s", async (_, one) => {
    const answer = await answerTo(one, createMemoryDynamo().dynamo, "table");
    if (typeof one.answer === "string") expect(answer).toBe(one.answer);
    else expect(answer).toMatchObject(one.answer);
  });
});
