import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "@babel/parser";
import { LOG_EVENTS } from "../../../../agent/platform/log-events.ts";

const ROOT = join(import.meta.dir, "../../../..");
const PAGE = "docs/agent.md";

type Node = { type: string; [key: string]: unknown };
type Logged = { level: string; event: string; fields: string[] };

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";

/** Texts in a string literal, or in both branches of a conditional expression. */
function literals(node: unknown): string[] {
  if (!isNode(node)) return [];
  if (node.type === "StringLiteral") return [String(node.value)];
  if (node.type === "ConditionalExpression")
    return [...literals(node.consequent), ...literals(node.alternate)];
  return [];
}

function keysOf(node: unknown): string[] {
  if (!isNode(node) || !Array.isArray(node.properties)) return [];
  return node.properties.flatMap((property: unknown) =>
    isNode(property) && isNode(property.key) ? [String(property.key.name)] : [],
  );
}

/** Name of a called function or method. Private methods are included. */
function calledName(callee: Node): unknown {
  const name = callee.type === "MemberExpression" ? callee.property : callee;
  if (!isNode(name)) return undefined;
  return name.type === "PrivateName" && isNode(name.id) ? name.id.name : name.name;
}

/** Finds calls such as `log(level, event, fields)`, `deps.log(…)` and `this.#log(…)` in a syntax tree. */
function logged(node: unknown): Logged[] {
  if (Array.isArray(node)) return node.flatMap(logged);
  if (!isNode(node)) return [];
  const inner = Object.values(node).flatMap((value) =>
    Array.isArray(value) || isNode(value) ? logged(value) : [],
  );
  if (node.type !== "CallExpression" || !isNode(node.callee) || !Array.isArray(node.arguments)) return inner;
  if (calledName(node.callee) !== "log") return inner;
  const [level, event, fields] = node.arguments;
  const levels = literals(level);
  const own = literals(event).map((text, index) => ({
    level: levels[index] ?? levels[0] ?? "?",
    event: text,
    fields: keysOf(fields),
  }));
  return [...inner, ...own];
}

/** The agent's source files that write to the log. */
function sources(): string[] {
  const names = readdirSync(join(ROOT, "agent"), { recursive: true, encoding: "utf8" });
  return names
    .filter((name) => name.endsWith(".ts"))
    .map((name) => readFileSync(join(ROOT, "agent", name), "utf8"))
    .filter((source) => /\blog\(/.test(source));
}

/** Table rows, one per event, in the order of the table in the code. */
function rows(): string[][] {
  const calls = sources().flatMap((source) =>
    logged(parse(source, { sourceType: "module", plugins: ["typescript"] }).program),
  );
  return Object.entries(LOG_EVENTS).map(([event, message]) => {
    const own = calls.filter((call) => call.event === event);
    const levels = [...new Set(own.map(({ level }) => level))].sort();
    const fields = [...new Set(own.flatMap((call) => call.fields))];
    return [`\`${event}\``, levels.join(", "), message, fields.map((name) => `\`${name}\``).join(", ")];
  });
}

const ROWS = rows();

test("the agent's page lists every log event with its level, message and fields", () => {
  const page = readFileSync(join(ROOT, PAGE), "utf8");
  const section = page.split("\n## Log events\n")[1]?.split("\n## ")[0] ?? "";
  const listed = section
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  expect(listed).toEqual(ROWS);
});

test("every log event is logged somewhere, at one level, under a name of the form subject.what-happened", () => {
  for (const [name, level] of ROWS) {
    expect(name).toMatch(/^`[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*`$/);
    expect(`${name} ${level}`).toMatch(/ (debug|info|warn|error)$/);
  }
});
