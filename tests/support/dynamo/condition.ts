import type { AttributeMap } from "../../../shared/table/dynamo.ts";
import { type Attribute, compareValues, equalValues, lengthOf, typeOf } from "./attribute-value.ts";
import { at, type Operand, Parser, type Path, type Scope } from "./expression.ts";
import { refuse } from "./validation-fault.ts";

/**
 * Maximum number of operands of `IN`. Source: "Expression parameters" in "Quotas in Amazon DynamoDB",
 * Developer Guide.
 */
const IN_MAX = 100;
const COMPARATORS = ["=", "<>", "<", "<=", ">", ">="] as const;
type Comparator = (typeof COMPARATORS)[number];
const ORDERED = new Set(["S", "N", "B"]);

export type Condition =
  | { kind: "and" | "or"; parts: Condition[] }
  | { kind: "not"; part: Condition }
  | { kind: "compare"; comparator: Comparator; left: Operand; right: Operand }
  | { kind: "between"; operand: Operand; low: Operand; high: Operand }
  | { kind: "in"; operand: Operand; among: Operand[] }
  | { kind: "call"; name: string; operands: Operand[] };

/** Parses a condition, filter or key condition. Throws for syntax that DynamoDB rejects before it reads an item. */
export function parseCondition(text: string, scope: Scope): Condition {
  const parser = new Parser(text, scope);
  const condition = or(parser);
  parser.expectEnd();
  return condition;
}

function or(parser: Parser): Condition {
  const parts = [and(parser)];
  while (parser.takeWord("OR")) {
    parser.countOperator();
    parts.push(and(parser));
  }
  return parts.length === 1 ? parts[0]! : { kind: "or", parts };
}

function and(parser: Parser): Condition {
  const parts = [not(parser)];
  while (parser.takeWord("AND")) {
    parser.countOperator();
    parts.push(not(parser));
  }
  return parts.length === 1 ? parts[0]! : { kind: "and", parts };
}

function not(parser: Parser): Condition {
  if (parser.takeWord("NOT")) {
    parser.countOperator();
    return { kind: "not", part: not(parser) };
  }
  if (parser.peek() === "(") return parenthesised(parser);
  return term(parser);
}

function parenthesised(parser: Parser): Condition {
  parser.expect("(");
  const isDoubled = parser.peek() === "(";
  const condition = or(parser);
  parser.expect(")");
  // In ((a = b)), only the outer parentheses are redundant.
  if (isDoubled && doubled.has(condition)) refuse("redundant parentheses");
  doubled.add(condition);
  return condition;
}
const doubled = new WeakSet<Condition>();

function term(parser: Parser): Condition {
  const left = parser.operand();
  const token = parser.peek()?.toUpperCase();
  if (left.kind === "call" && left.name !== "size") return checkedCall(left);
  const operand = checkedOperand(left);
  parser.countOperator();
  if (token === "BETWEEN") {
    parser.next();
    const low = checkedOperand(parser.operand());
    if (!parser.takeWord("AND")) refuse("BETWEEN needs AND");
    const high = checkedOperand(parser.operand());
    checkBounds(low, high);
    return { kind: "between", operand, low, high };
  }
  if (token === "IN") {
    parser.next();
    parser.expect("(");
    const among = [checkedOperand(parser.operand())];
    while (parser.take(",")) among.push(checkedOperand(parser.operand()));
    parser.expect(")");
    if (among.length > IN_MAX) refuse(`IN has more than ${IN_MAX} operands`);
    return { kind: "in", operand, among };
  }
  const comparator = parser.next() as Comparator;
  if (!COMPARATORS.includes(comparator)) refuse(`unknown operator ${comparator}`);
  const right = checkedOperand(parser.operand());
  if (isSamePath(operand, right)) refuse("the operands of a comparison must be distinct");
  if (comparator !== "=" && comparator !== "<>") for (const one of [operand, right]) checkOrdered(one);
  return { kind: "compare", comparator, left: operand, right };
}

const isSamePath = (a: Operand, b: Operand): boolean =>
  a.kind === "path" && b.kind === "path" && a.path.join("\0") === b.path.join("\0");

function checkedOperand(operand: Operand): Operand {
  if (operand.kind !== "call") return operand;
  if (operand.name !== "size") refuse(`${operand.name} is not an operand`);
  if (operand.operands.length !== 1) refuse("size takes one operand");
  return operand;
}

function checkOrdered(operand: Operand): void {
  if (operand.kind === "value" && !ORDERED.has(typeOf(operand.value)))
    refuse(`a ${typeOf(operand.value)} has no order`);
}

function checkBounds(low: Operand, high: Operand): void {
  checkOrdered(low);
  checkOrdered(high);
  if (low.kind !== "value" || high.kind !== "value") return;
  const order = compareValues(low.value, high.value);
  if (order === undefined) refuse("the bounds of BETWEEN must have one type");
  if (order > 0) refuse("the upper bound of BETWEEN is below the lower bound");
}

const CALLS: Record<string, number> = {
  attribute_exists: 1,
  attribute_not_exists: 1,
  attribute_type: 2,
  begins_with: 2,
  contains: 2,
};
const TYPE_NAMES = new Set(["S", "N", "B", "SS", "NS", "BS", "BOOL", "NULL", "L", "M"]);

function checkedCall({ name, operands }: Extract<Operand, { kind: "call" }>): Condition {
  const count = CALLS[name];
  if (count === undefined) refuse(`unknown function ${name}`);
  if (operands.length !== count) refuse(`${name} takes ${count} operands`);
  const [first, second] = operands as [Operand, Operand?];
  if (name !== "begins_with" && name !== "contains" && first.kind !== "path") refuse(`${name} needs a path`);
  if (second && isSamePath(first, second)) refuse("the operands of a function must be distinct");
  if (name === "begins_with") {
    for (const one of operands)
      if (one.kind === "value" && !["S", "B"].includes(typeOf(one.value))) refuse("begins_with needs S or B");
  }
  if (name === "attribute_type") {
    if (second?.kind !== "value" || !TYPE_NAMES.has(second.value.S ?? "")) refuse("not the name of a type");
  }
  return { kind: "call", name, operands };
}

function resolved(operand: Operand, item: AttributeMap): Attribute | undefined {
  if (operand.kind === "value") return operand.value;
  if (operand.kind === "path") return at(item, operand.path);
  const value = resolved(operand.operands[0]!, item);
  const length = value && lengthOf(value);
  return length === undefined ? undefined : { N: String(length) };
}

export function holds(condition: Condition, item: AttributeMap): boolean {
  switch (condition.kind) {
    case "and":
      return condition.parts.every((part) => holds(part, item));
    case "or":
      return condition.parts.some((part) => holds(part, item));
    case "not":
      return !holds(condition.part, item);
    case "compare":
      return compare(resolved(condition.left, item), condition.comparator, resolved(condition.right, item));
    case "between": {
      const [value, low, high] = [condition.operand, condition.low, condition.high].map((one) =>
        resolved(one, item),
      );
      return compare(value, ">=", low) && compare(value, "<=", high);
    }
    case "in":
      return condition.among.some((one) =>
        compare(resolved(condition.operand, item), "=", resolved(one, item)),
      );
    case "call":
      return call(condition.name, condition.operands, item);
  }
}

function compare(a: Attribute | undefined, comparator: Comparator, b: Attribute | undefined): boolean {
  if (comparator === "<>") return a === undefined || b === undefined || !equalValues(a, b);
  if (a === undefined || b === undefined) return false;
  if (comparator === "=") return equalValues(a, b);
  const order = compareValues(a, b);
  if (order === undefined) return false;
  if (comparator === "<") return order < 0;
  if (comparator === "<=") return order <= 0;
  if (comparator === ">") return order > 0;
  return order >= 0;
}

function call(name: string, operands: readonly Operand[], item: AttributeMap): boolean {
  const [first, second] = operands.map((operand) => resolved(operand, item));
  if (name === "attribute_exists") return first !== undefined;
  if (name === "attribute_not_exists") return first === undefined;
  if (first === undefined || second === undefined) return false;
  if (name === "attribute_type") return typeOf(first) === second.S;
  if (name === "begins_with")
    return first.S !== undefined && second.S !== undefined ? first.S.startsWith(second.S) : false;
  if (first.S !== undefined) return second.S !== undefined && first.S.includes(second.S);
  if (first.L !== undefined) return first.L.some((member) => equalValues(member, second));
  const [type, content] = Object.entries(first)[0] as [string, unknown];
  const one = Object.values(second)[0];
  return Array.isArray(content) && typeOf(second) === type[0] && content.includes(one);
}

/** Returns every path of a condition. Callers use it to check which attributes the condition names. */
export function pathsOf(condition: Condition): Path[] {
  const ofOperand = (operand: Operand): Path[] =>
    operand.kind === "path"
      ? [operand.path]
      : operand.kind === "call"
        ? operand.operands.flatMap(ofOperand)
        : [];
  switch (condition.kind) {
    case "and":
    case "or":
      return condition.parts.flatMap(pathsOf);
    case "not":
      return pathsOf(condition.part);
    case "compare":
      return [condition.left, condition.right].flatMap(ofOperand);
    case "between":
      return [condition.operand, condition.low, condition.high].flatMap(ofOperand);
    case "in":
      return [condition.operand, ...condition.among].flatMap(ofOperand);
    case "call":
      return condition.operands.flatMap(ofOperand);
  }
}
