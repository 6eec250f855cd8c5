import type { AttributeMap } from "../../../shared/table/dynamo.ts";
import { type Attribute, copyOf, copyOfItem, equalValues, typeOf } from "./attribute-value.ts";
import { addNumbers } from "./decimal.ts";
import { at, type Operand, overlap, Parser, type Path, type Scope } from "./expression.ts";
import { refuse } from "./validation-fault.ts";

type Value = Operand | { kind: "sum"; sign: 1n | -1n; left: Operand; right: Operand };
export type Update = {
  set: { path: Path; value: Value }[];
  remove: Path[];
  add: { path: Path; value: Attribute }[];
  delete: { path: Path; value: Attribute }[];
};

const CLAUSES = ["SET", "REMOVE", "ADD", "DELETE"] as const;

/** Parses an update expression. Throws for syntax that DynamoDB rejects before it reads the item. */
export function parseUpdate(text: string, keyNames: readonly string[], scope: Scope): Update {
  const parser = new Parser(text, scope);
  const update: Update = { set: [], remove: [], add: [], delete: [] };
  const seen = new Set<string>();
  while (parser.peek() !== undefined) {
    const clause = CLAUSES.find((name) => parser.takeWord(name));
    if (clause === undefined) refuse(`expected a clause, found ${parser.peek()}`);
    if (seen.has(clause)) refuse(`${clause} may be used once`);
    seen.add(clause);
    do parseAction(parser, clause, update);
    while (parser.take(","));
  }
  const paths = [...update.set, ...update.add, ...update.delete]
    .map(({ path }) => path)
    .concat(update.remove);
  for (const path of paths) if (keyNames.includes(String(path[0]))) refuse("an update cannot change a key");
  paths.forEach((path, i) => {
    if (paths.slice(i + 1).some((other) => overlap(path, other))) refuse("two paths of an update overlap");
  });
  return update;
}

function parseAction(parser: Parser, clause: (typeof CLAUSES)[number], update: Update): void {
  const path = parser.path();
  parser.countOperator();
  if (clause === "REMOVE") {
    update.remove.push(path);
    return;
  }
  if (clause === "SET") {
    parser.expect("=");
    update.set.push({ path, value: parseValue(parser) });
    return;
  }
  const operand = parser.operand();
  if (operand.kind !== "value") refuse(`${clause} needs a value`);
  const type = typeOf(operand.value);
  const allowed = clause === "ADD" ? ["N", "SS", "NS", "BS"] : ["SS", "NS", "BS"];
  if (!allowed.includes(type)) refuse(`${clause} cannot take a ${type}`);
  update[clause === "ADD" ? "add" : "delete"].push({ path, value: operand.value });
}

function parseValue(parser: Parser): Value {
  const left = checkedOperand(parser.operand());
  const sign = parser.take("+") ? 1n : parser.take("-") ? -1n : undefined;
  if (sign === undefined) return left;
  parser.countOperator();
  const right = checkedOperand(parser.operand());
  for (const operand of [left, right])
    if (operand.kind === "value" && operand.value.N === undefined) refuse("only numbers can be added");
  return { kind: "sum", sign, left, right };
}

function checkedOperand(operand: Operand): Operand {
  if (operand.kind !== "call") return operand;
  const { name, operands } = operand;
  if (name !== "if_not_exists" && name !== "list_append") refuse(`unknown function ${name}`);
  if (operands.length !== 2) refuse(`${name} takes two operands`);
  if (name === "if_not_exists" && operands[0]!.kind !== "path") refuse("if_not_exists needs a path");
  if (name === "list_append") {
    for (const one of operands)
      if (one.kind === "value" && one.value.L === undefined) refuse("list_append needs lists");
  }
  operands.forEach(checkedOperand);
  return operand;
}

/** Returns the item after the update. Operands use the values from before the update, as in DynamoDB. */
export function applyUpdate(update: Update, before: AttributeMap): AttributeMap {
  const after = copyOfItem(before);
  const sets = update.set.map(({ path, value }) => ({ path, value: evaluate(value, before) }));
  for (const { path, value } of sets) put(after, path, copyOf(value));
  for (const { path, value } of update.add) put(after, path, added(at(before, path), value));
  for (const { path, value } of update.delete) subtract(after, path, value);
  for (const path of removalOrder(update.remove)) removeAt(after, path);
  return after;
}

/** Sorts list members in descending order, so that a removal does not move the members still to be removed. */
const removalOrder = (paths: readonly Path[]): Path[] =>
  [...paths].sort((a, b) => Number(b.at(-1)) - Number(a.at(-1)) || 0);

function evaluate(value: Value, item: AttributeMap): Attribute {
  if (value.kind === "value") return value.value;
  if (value.kind === "path")
    return at(item, value.path) ?? refuse("the update refers to an attribute that does not exist");
  if (value.kind === "sum") {
    const [left, right] = [value.left, value.right].map((operand) => evaluate(operand, item).N);
    if (left === undefined || right === undefined) refuse("an operand of the update has another type than N");
    return { N: addNumbers(left, right, value.sign) };
  }
  const [first, second] = value.operands as [Operand, Operand];
  if (value.name === "if_not_exists")
    return at(item, (first as { path: Path }).path) ?? evaluate(second, item);
  const lists = [first, second].map((operand) => evaluate(operand, item).L);
  if (!lists[0] || !lists[1]) refuse("list_append needs lists");
  return { L: [...lists[0], ...lists[1]] };
}

function parentOf(item: AttributeMap, path: Path): Attribute | undefined {
  return path.length === 1 ? { M: item } : at(item, path.slice(0, -1));
}

function put(item: AttributeMap, path: Path, value: Attribute): void {
  const parent = parentOf(item, path);
  const step = path.at(-1)!;
  if (typeof step === "number" && parent?.L) {
    if (step < parent.L.length) parent.L[step] = value;
    else parent.L.push(value);
  } else if (typeof step === "string" && parent?.M) parent.M[step] = value;
  else refuse("the document path of the update does not exist");
}

function removeAt(item: AttributeMap, path: Path): void {
  const parent = parentOf(item, path);
  const step = path.at(-1)!;
  if (typeof step === "number" && parent?.L) parent.L.splice(step, 1);
  else if (typeof step === "string" && parent?.M) delete parent.M[step];
  else refuse("the document path of the update does not exist");
}

function added(before: Attribute | undefined, value: Attribute): Attribute {
  if (before === undefined) return value;
  const type = typeOf(value);
  if (typeOf(before) !== type) refuse("ADD needs an attribute of the type of its value");
  if (type === "N") return { N: addNumbers(before.N!, value.N!, 1n) };
  const members = [before, value].flatMap((one) => (one as unknown as Record<string, string[]>)[type]!);
  return { [type]: [...new Set(members)] } as unknown as Attribute;
}

function subtract(item: AttributeMap, path: Path, value: Attribute): void {
  const before = at(item, path);
  if (before === undefined) return;
  const type = typeOf(value);
  if (typeOf(before) !== type) refuse("DELETE needs a set of the type of its value");
  const members = (one: Attribute) => (one as unknown as Record<string, string[]>)[type]!;
  const left = members(before).filter((member) => !members(value).includes(member));
  const kept = { [type]: left } as unknown as Attribute;
  if (left.length === 0) removeAt(item, path);
  else if (!equalValues(before, kept)) put(item, path, kept);
}
