import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "@babel/parser";
import { ROOT } from "../support/stack.ts";

/*
 * A test that waits for a fixed time fails on a slow machine and wastes time on a fast one. It must wait for
 * a condition with `eventually()` or a loop. Any other pause needs a comment with its reason: for example,
 * time that must pass, an event that must not happen, or simulated latency.
 */

type Node = { type: string; start: number; loc: { start: { line: number } }; [field: string]: unknown };

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && typeof (value as Node).type === "string";

/**
 * True for the calls `Bun.sleep(…)` and `sleep(…)`. A pause of 0 is not counted: it only yields to the event
 * loop.
 */
function isPause({ type, expression }: Node): boolean {
  if (type !== "ExpressionStatement" || !isNode(expression) || expression.type !== "AwaitExpression")
    return false;
  const call = expression.argument as Node;
  if (call.type !== "CallExpression") return false;
  const callee = call.callee as Node & { name?: string; property?: { name?: string } };
  const [duration] = call.arguments as (Node & { value?: unknown })[];
  return (callee.name ?? callee.property?.name) === "sleep" && duration?.value !== 0;
}

/** Line numbers of pauses outside loops that have no comment on the same line or the line before. */
function unexplainedPauses(source: string): number[] {
  if (!/\bsleep\(/.test(source)) return [];
  const lines = source.split("\n");
  const hasComment = (line: string | undefined) =>
    line !== undefined && /(?:^|\s)(?:\/\/|\*\/|\*|\/\*)/.test(line);
  const found: number[] = [];
  const visit = (node: Node, isInLoop: boolean): void => {
    const { line } = node.loc.start;
    if (isPause(node) && !isInLoop && !hasComment(lines[line - 1]) && !hasComment(lines[line - 2]))
      found.push(line);
    const isLoop = /^(?:While|DoWhile|For|ForOf|ForIn)Statement$/.test(node.type);
    const isFunction = /Function/.test(node.type);
    for (const value of Object.values(node).flat())
      if (isNode(value)) visit(value, isLoop || (isInLoop && !isFunction));
  };
  visit(parse(source, { sourceType: "module", plugins: ["typescript"] }).program as unknown as Node, false);
  return found;
}

test("finds pauses without a reason, but not those in loops, of zero duration or with a reason", () => {
  expect(unexplainedPauses("f();\nawait Bun.sleep(5);\nawait sleep(MS);")).toEqual([2, 3]);
  expect(unexplainedPauses("test('', async () => {\n  await Bun.sleep(5);\n});")).toEqual([2]);
  for (const fine of [
    "while (!f()) await Bun.sleep(5);",
    "for (;;) {\n  g();\n  await Bun.sleep(5);\n}",
    "f();\nawait Bun.sleep(0);",
    "f();\nawait Bun.sleep(5); // a receive takes this long",
    "// A receive takes this long.\nawait Bun.sleep(5);",
    "const slow = () => Bun.sleep(5);",
  ])
    expect(unexplainedPauses(fine)).toEqual([]);
});

test("every fixed pause in the tests has a reason", () => {
  const files = [...new Bun.Glob("tests/**/*.ts").scanSync(ROOT)];
  expect(files.length).toBeGreaterThan(100);
  const found = files.flatMap((file) =>
    unexplainedPauses(readFileSync(join(ROOT, file), "utf8")).map((line) => `${file}:${line}`),
  );
  expect(found).toEqual([]);
}, 30_000);
