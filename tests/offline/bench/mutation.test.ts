import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import equivalents from "../../../bench/mutation/equivalents.json";
import { type Equivalent, isOf } from "../../../bench/mutation/equivalents.ts";
import { apply, mutantsOf } from "../../../bench/mutation/mutators.ts";
import { candidatesOf, sample } from "../../../bench/mutation/sample.ts";
import { TARGETS } from "../../../bench/mutation/targets.ts";
import { createTestRuns } from "../../../bench/mutation/test-runs.ts";
import { missing, testUnless } from "../../support/missing.ts";
import { eventually, ROOT } from "../../support/stack.ts";

/** The mutants of a source, as pairs of operator and mutated text. */
const changes = (source: string) =>
  mutantsOf(source).map((mutant) => `${mutant.operator}: ${apply(source, mutant)}`);

describe("the mutation operators", () => {
  test.each<[source: string, ...expected: string[]]>([
    ["a < b", "boundary: a <= b", "equality: a >= b"],
    ["a === b", "equality: a !== b"],
    ["a + b", "arithmetic: a - b"],
    ["a && b", "logical: a || b"],
    ["a ?? b", "logical: a", "logical: b"],
    ["f(!a)", "unary: f(a)"],
    ["f(true)", "boolean: f(false)"],
    ["f(7)", "number: f(8)", "number: f(6)"],
    ["f(-1)", "unary: f(1)", "number: f(-2)", "number: f(-0)"],
    ["f(0)", "number: f(1)", "number: f((-1))"],
    ["f('x')", 'text: f("")'],
    ["f(``)", 'text: f("mutated")'],
    ["f([a])", "array: f([])"],
    ["f({ a })", "object: f(({}))"],
    ["f({ ...a, b })", "object: f(({}))", "spread: f({  b })"],
    ["f(a?.b)", "optional chain: f(a!.b)"],
    ["a.some(f)", "method: a.every(f)"],
    ["a.filter(f)", "method: a"],
    ["/^a+$/u", "regex: /a+$/u", "regex: /^a+/u", "regex: /^a$/u"],
    ["if (a) b()", "condition: if (true) b()", "condition: if (false) b()", "statement: if (a) ;"],
    ["while (a) b()", "condition: while (false) b()", "statement: while (a) ;"],
  ])("of %s", (source, ...expected) => {
    // A source with one statement always has a mutant without this statement.
    expect(
      changes(source)
        .filter((change) => change !== "statement: ;")
        .sort(),
    ).toEqual(expected.toSorted());
  });

  test("change bodies: blocks, returns, awaits and throws", () => {
    expect(changes("async function f() { await g(); return a; }")).toEqual([
      "block: async function f() {}",
      "await: async function f() { (g()); return a; }",
      "statement: async function f() { ; return a; }",
      "return: async function f() { await g(); return undefined as never; }",
    ]);
    expect(changes("const f = () => g;")).toEqual(["return: const f = () => (undefined as never);"]);
    expect(changes("function f() { throw e; }")).toContain("statement: function f() { ; }");
  });

  test("do not change code without effect at run time, or make invalid programs", () => {
    expect(changes('import { a } from "b";')).toEqual([]);
    expect(changes('export { a } from "b";')).toEqual([]);
    expect(changes('type A = "b" | 1; interface B { c: "d"; }')).toEqual([]);
    expect(changes('const a: "b" = c as "d";')).toEqual([]);
    expect(changes('let a = b + "";')).not.toContain('arithmetic: let a = b - "";');
    expect(changes("class A { 1 = a; 'b' = c }")).toEqual([]);
  });
});

describe("the sample", () => {
  const source = Array.from({ length: 40 }, (_, at) => `export const a${at} = ${at + 10};`).join("\n");
  const pick = (seed: number, text = source) =>
    sample(candidatesOf("a.ts", text), 12, seed).map(({ from, to }) => `${from} -> ${to}`);

  test("is the same for the same seed, and different for another seed", () => {
    expect(pick(1)).toEqual(pick(1));
    expect(pick(2)).not.toEqual(pick(1));
    expect(new Set(pick(1)).size).toBe(12);
  });

  test("stays the same when lines move", () => {
    expect(pick(1, `// first\n\n${source}`)).toEqual(pick(1));
  });

  test("names the first line and all changed lines, also if there are several", () => {
    const [candidate] = candidatesOf("a.ts", "\nif (\n  a\n) {\n  b();\n}\n").filter(
      ({ operator }) => operator === "block",
    );
    expect(candidate).toMatchObject({ line: 4, from: ") {\n  b();\n}", to: ") {}" });
  });
});

test("each mutated module and each of its test files exist", () => {
  const named = Object.entries(TARGETS).flat(2);
  expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  expect(Object.values(TARGETS).filter((tests) => tests.length === 0)).toEqual([]);
});

test("each mutant in equivalents.json is a mutant of the operators, with a reason", () => {
  const byFile = Map.groupBy(equivalents as Equivalent[], ({ file }) => file);
  const stale = [...byFile].flatMap(([file, claims]) => {
    if (!Object.hasOwn(TARGETS, file)) return claims;
    const mutants = candidatesOf(file, readFileSync(join(ROOT, file), "utf8"));
    return claims.filter((claim) => !claim.reason || !mutants.some((mutant) => isOf(mutant)(claim)));
  });
  expect(stale).toEqual([]);
});

describe("a run of one test file", () => {
  const root = mkdtempSync(join(tmpdir(), "lz-mutation-test-"));
  afterAll(() => rmSync(root, { recursive: true }));
  const put = (name: string, body: string) =>
    writeFileSync(
      join(root, name),
      `import { expect, test } from "bun:test";\ntest("it", async () => {${body}});\n`,
    );
  const run = (name: string, limitMs = 20_000) => createTestRuns().run(root, name, limitMs);

  test("separates a test that passes, a test that fails and a test that takes too long", async () => {
    put("a.test.ts", "");
    put("b.test.ts", "expect(1).toBe(2);");
    put("c.test.ts", "await Bun.sleep(60_000);");
    expect(await run("a.test.ts")).toBe("passed");
    expect(await run("b.test.ts")).toBe("failed");
    expect(await run("c.test.ts", 500)).toBe("timed out");
  });

  testUnless(missing("Linux"), "leaves no process behind, not even one in a session of its own", async () => {
    put(
      "d.test.ts",
      `const child = Bun.spawn(["setsid", "sleep", "600"]); await Bun.write("${root}/pid", String(child.pid)); child.unref();`,
    );
    expect(await run("d.test.ts")).toBe("passed");
    const pid = readFileSync(join(root, "pid"), "utf8");
    const isGone = async () => {
      const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, "utf8") : "";
      return !stat || / Z /.test(stat);
    };
    await eventually(isGone);
  });
});
