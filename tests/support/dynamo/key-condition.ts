import type { AttributeMap } from "../../../shared/table/dynamo.ts";
import { bytesOf, PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX } from "./attribute-value.ts";
import { type Condition, holds, parseCondition } from "./condition.ts";
import type { Operand, Scope } from "./expression.ts";
import { refuse } from "./validation-fault.ts";

export type KeyNames = { partition: string; sort: string };

/**
 * Parses a key condition. A key condition has one equality on the partition key and at most one condition on
 * the sort key.
 */
export function parseKeyCondition(
  text: string,
  { partition, sort }: KeyNames,
  scope: Scope,
): { matches: (item: AttributeMap) => boolean; partition: string } {
  const condition = parseCondition(text, scope);
  const parts = condition.kind === "and" ? condition.parts : [condition];
  const named = parts.map((part) => [subjectOf(part), part] as const);
  const ofPartition = named.filter(([name]) => name === partition);
  const ofSort = named.filter(([name]) => name === sort);
  if (ofPartition.length + ofSort.length !== parts.length)
    refuse("a key condition names an attribute of no key");
  if (ofPartition.length !== 1) refuse("a key condition needs the partition key once");
  if (ofSort.length > 1) refuse("a key condition may name the sort key once");
  const [, equality] = ofPartition[0]!;
  if (equality.kind !== "compare" || equality.comparator !== "=")
    refuse("the partition key must be compared by =");
  for (const [name, part] of named)
    checkOperands(part, name === partition ? PARTITION_KEY_BYTES_MAX : SORT_KEY_BYTES_MAX);
  const matches = (item: AttributeMap) =>
    item[partition] !== undefined && item[sort] !== undefined && holds(condition, item);
  return { matches, partition: (equality.right as Extract<Operand, { kind: "value" }>).value.S! };
}

function subjectOf(part: Condition): string | undefined {
  const subject =
    part.kind === "compare"
      ? part.left
      : part.kind === "between"
        ? part.operand
        : part.kind === "call" && part.name === "begins_with"
          ? part.operands[0]
          : undefined;
  if (part.kind === "compare" && part.comparator === "<>") refuse("a key condition cannot compare by <>");
  if (subject?.kind !== "path" || subject.path.length !== 1) refuse("this is not allowed in a key condition");
  return String(subject.path[0]);
}

/** Throws unless the operands are strings, because all keys of the table and of its indexes are strings. */
function checkOperands(part: Condition, bytesMax: number): void {
  const operands: Operand[] =
    part.kind === "compare"
      ? [part.right]
      : part.kind === "between"
        ? [part.low, part.high]
        : part.kind === "call"
          ? part.operands.slice(1)
          : [];
  for (const operand of operands) {
    if (operand.kind !== "value") refuse("a key condition compares with values only");
    const text = operand.value.S;
    if (text === undefined) refuse("a key is compared with a value of another type");
    if (text === "") refuse("a key condition has an empty value");
    if (bytesOf(text) > bytesMax) refuse("a value of a key condition is longer than a key may be");
  }
}
