import { type AttributeMap, type Dynamo, DynamoFault } from "../../shared/table/dynamo.ts";

/**
 * DynamoDB's semantics in memory, for as many expressions as the stages use; one it does not know throws. Every
 * operation is atomic and answers in a later turn, so that callers interleave as they would over a network.
 */
export type MemoryDynamo = {
  dynamo: Dynamo;
  /** Every item, by key. */
  items: ReadonlyMap<string, AttributeMap>;
  /** What each operation was called how often. */
  calls: Map<string, number>;
};

type Input = {
  TableName: string;
  Key?: AttributeMap;
  Item?: AttributeMap;
  ConditionExpression?: string;
  UpdateExpression?: string;
  ExpressionAttributeNames?: Record<string, string>;
  ExpressionAttributeValues?: AttributeMap;
};
type Attribute = AttributeMap[string];

/** `turn` resolves when the next operation may go on: a test decides who goes first. */
export function createMemoryDynamo(turn: () => Promise<void> = async () => {}): MemoryDynamo {
  const items = new Map<string, AttributeMap>();
  const calls = new Map<string, number>();
  const idOf = (key: AttributeMap) => `${key.PK!.S} | ${key.SK!.S}`;
  const fault = (code: string, reasons: string[] = []) => {
    throw new DynamoFault(code, reasons);
  };

  function check(input: Input, item: AttributeMap | undefined): boolean {
    return input.ConditionExpression === undefined || new Condition(input, item ?? {}).holds();
  }

  /** The item as the write leaves it. */
  function apply(input: Input): [string, AttributeMap] {
    const key = input.Key ?? input.Item!;
    if (input.Item) return [idOf(key), structuredClone(input.Item)];
    return [idOf(key), updated({ ...items.get(idOf(key)), ...key }, input)];
  }

  function write(input: Input): void {
    const before = items.get(idOf(input.Key ?? input.Item!));
    if (!check(input, before)) fault("ConditionalCheckFailedException");
    items.set(...apply(input));
  }

  function transact(writes: Record<string, Input>[]): void {
    const parts = writes.map((write) => Object.entries(write)[0]!);
    const ids = parts.map(([, input]) => idOf(input.Key ?? input.Item!));
    if (parts.length > 100 || new Set(ids).size !== ids.length) fault("ValidationException");
    const reasons = parts.map(([, input], index) =>
      check(input, items.get(ids[index]!)) ? "None" : "ConditionalCheckFailed",
    );
    if (reasons.some((reason) => reason !== "None")) fault("TransactionCanceledException", reasons);
    for (const [kind, input] of parts) if (kind !== "ConditionCheck") items.set(...apply(input));
  }

  function query(input: Record<string, never>) {
    const { ExpressionAttributeValues: given, KeyConditionExpression: condition } = input as unknown as {
      ExpressionAttributeValues: AttributeMap;
      KeyConditionExpression: string;
    };
    if (condition.includes("BETWEEN") && given[":from"]!.S! > given[":to"]!.S!) fault("ValidationException");
    const index = (input as { IndexName?: string }).IndexName ?? "";
    const found = [...items.values()]
      .filter((item) => item[`${index}PK`]?.S === given[":pk"]!.S)
      .filter((item) => {
        const sort = item[`${index}SK`]!.S!;
        if (condition.includes("BETWEEN")) return sort >= given[":from"]!.S! && sort <= given[":to"]!.S!;
        if (condition.includes("begins_with")) return sort.startsWith(given[":prefix"]!.S!);
        if (condition.includes("<=")) return sort <= given[":to"]!.S!;
        return true;
      })
      .sort((a, b) => (a[`${index}SK`]!.S! < b[`${index}SK`]!.S! ? -1 : 1));
    if ((input as { Select?: string }).Select === "COUNT") return { Count: found.length };
    return page(found, input, index);
  }

  /** In order, from a key on, as many as the limit lets it look at; the filter comes after, as DynamoDB has it. */
  function page(found: AttributeMap[], input: object, index: string) {
    const { Limit, ScanIndexForward, ExclusiveStartKey, FilterExpression } = input as {
      Limit?: number;
      ScanIndexForward?: boolean;
      ExclusiveStartKey?: AttributeMap;
      FilterExpression?: string;
    };
    const ordered = ScanIndexForward === false ? found.reverse() : found;
    const start = ExclusiveStartKey
      ? ordered.findIndex((item) => idOf(item) === idOf(ExclusiveStartKey)) + 1
      : 0;
    const seen = ordered.slice(start, Limit === undefined ? undefined : start + Limit);
    const kept = FilterExpression
      ? seen.filter((item) => check({ ...(input as Input), ConditionExpression: FilterExpression }, item))
      : seen;
    const last = start + seen.length < ordered.length ? seen.at(-1) : undefined;
    const names = ["PK", "SK", ...(index === "" ? [] : [`${index}PK`, `${index}SK`])];
    return {
      Items: structuredClone(kept),
      Count: kept.length,
      ...(last && { LastEvaluatedKey: Object.fromEntries(names.map((name) => [name, last[name]!])) }),
    };
  }

  const dynamo = async (operation: string, input: never): Promise<unknown> => {
    await turn();
    calls.set(operation, (calls.get(operation) ?? 0) + 1);
    const plain = input as Input & {
      RequestItems: Record<string, { Keys: AttributeMap[] }>;
      TransactItems: never;
    };
    switch (operation) {
      case "GetItem": {
        const found = items.get(idOf(plain.Key!));
        return found ? { Item: structuredClone(found) } : {};
      }
      case "BatchGetItem": {
        const [table, { Keys }] = Object.entries(plain.RequestItems)[0]!;
        const found = Keys.map((key) => items.get(idOf(key))).filter((item) => item !== undefined);
        return { Responses: { [table]: structuredClone(found) } };
      }
      case "PutItem":
      case "UpdateItem":
        return write(plain) ?? {};
      case "TransactWriteItems":
        return transact(plain.TransactItems) ?? {};
      case "Query":
        return query(input);
      default:
        throw new Error(`the table in memory cannot ${operation}`);
    }
  };
  return { dynamo: dynamo as unknown as Dynamo, items, calls };
}

function updated(item: AttributeMap, input: Input): AttributeMap {
  const next: AttributeMap = structuredClone(item);
  const name = (text: string) => input.ExpressionAttributeNames?.[text] ?? text;
  const [, set, remove] = /^(?:SET (.*?))?(?:\s*REMOVE (.*))?$/.exec(input.UpdateExpression!)!;
  for (const part of set?.split(/,(?![^(]*\))/) ?? []) {
    const [path, value] = part.split("=").map((side) => side.trim());
    const counted = /^if_not_exists\((\w+), (:\w+)\) \+ (:\w+)$/.exec(value!);
    if (counted) {
      const [, from, start, by] = counted;
      const of = input.ExpressionAttributeValues!;
      next[name(path!)] = { N: String(Number((item[name(from!)] ?? of[start!]!).N) + Number(of[by!]!.N)) };
      continue;
    }
    const [, kept, instead] = /^if_not_exists\(([\w#]+), (:\w+)\)$/.exec(value!) ?? [];
    const given = (kept && item[name(kept)]) || input.ExpressionAttributeValues?.[instead ?? value!];
    if (!given) throw new Error(`the table in memory cannot SET ${part}`);
    const [of, member] = path!.split(".").map(name);
    if (member === undefined) next[of!] = given;
    else if (next[of!]?.M) next[of!]!.M![member] = given;
    else throw new DynamoFault("ValidationException");
  }
  for (const path of remove?.split(",") ?? []) delete next[name(path.trim())];
  return next;
}

/** A recursive descent over `AND`, `OR`, parentheses, comparisons and the two functions of existence. */
class Condition {
  private readonly tokens: string[];
  private at = 0;
  constructor(
    private readonly input: Input,
    private readonly item: AttributeMap,
  ) {
    this.tokens = input.ConditionExpression!.match(/\(|\)|<=|>=|<>|=|<|>|[\w:#.]+/g)!;
  }
  holds(): boolean {
    const held = this.or();
    if (this.at !== this.tokens.length) throw new Error(`not understood: ${this.input.ConditionExpression}`);
    return held;
  }
  private or(): boolean {
    let held = this.and();
    while (this.tokens[this.at] === "OR") {
      this.at++;
      held = this.and() || held;
    }
    return held;
  }
  private and(): boolean {
    let held = this.term();
    while (this.tokens[this.at] === "AND") {
      this.at++;
      held = this.term() && held;
    }
    return held;
  }
  private term(): boolean {
    const token = this.tokens[this.at++]!;
    if (token === "(") {
      const held = this.or();
      this.at++;
      return held;
    }
    if (token === "attribute_not_exists" || token === "attribute_exists") {
      const value = this.value(this.tokens[this.at + 1]!);
      this.at += 3;
      return (value === undefined) === (token === "attribute_not_exists");
    }
    const operator = this.tokens[this.at++]!;
    return compare(this.value(token), operator, this.value(this.tokens[this.at++]!));
  }
  private value(path: string): Attribute | undefined {
    if (path.startsWith(":")) return this.input.ExpressionAttributeValues![path]!;
    return path
      .split(".")
      .map((part) => this.input.ExpressionAttributeNames?.[part] ?? part)
      .reduce<Attribute | undefined>(
        (found, part, depth) => (depth === 0 ? this.item[part] : found?.M?.[part]),
        undefined,
      );
  }
}

function compare(a: Attribute | undefined, operator: string, b: Attribute | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  const [left, right] =
    a.N !== undefined && b.N !== undefined
      ? [Number(a.N), Number(b.N)]
      : [a.S ?? JSON.stringify(a), b.S ?? JSON.stringify(b)];
  if (operator === "=") return left === right;
  if (operator === "<") return left < right;
  if (operator === ">") return left > right;
  if (operator === "<=") return left <= right;
  if (operator === ">=") return left >= right;
  throw new Error(`the table in memory cannot compare by ${operator}`);
}
