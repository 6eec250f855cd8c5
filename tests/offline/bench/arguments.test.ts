import { expect, test } from "bun:test";
import { helpText } from "../../../bench/arguments.ts";

test("helpText() leaves two spaces behind the longest option and begins every explanation in one column", () => {
  const whole = { min: 1, max: 9, default: 5, says: "explained" };
  const text = helpText(
    "ingest",
    "Says what.",
    { a: whole, "longer-than-all-others": whole },
    { way: { of: ["all", "one"], says: "explained" } },
  );
  expect(text.split("\n").slice(4)).toEqual([
    "  --a N                       explained (default 5)",
    "  --longer-than-all-others N  explained (default 5)",
    "  --way                       explained: all, one (default all)",
    "  --json                      the result as one JSON object on the last line",
  ]);
});
