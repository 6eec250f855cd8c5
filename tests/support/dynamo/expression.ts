import type { AttributeMap } from "../../../shared/table/dynamo.ts";
import { bytesOf, checked, sizeOf } from "./attribute-value.ts";
import { RESERVED_WORDS } from "./reserved-words.ts";
import { refuse } from "./validation-fault.ts";

/** Limits from "Expression parameters" in "Quotas in Amazon DynamoDB", Developer Guide. */
const EXPRESSION_BYTES_MAX = 4096;
const PLACEHOLDER_BYTES_MAX = 255;
const VALUES_BYTES_MAX = 2 * 1024 * 1024;
const OPERATORS_MAX = 300;

/** A document path: attribute names and list indexes. */
export type Path = readonly (string | number)[];
export type Operand =
  | { kind: "path"; path: Path }
  | { kind: "value"; name: string; value: AttributeMap[string] }
  | { kind: "call"; name: string; operands: Operand[] };

export type Placeholders = {
  ExpressionAttributeNames?: Record<string, string>;
  ExpressionAttributeValues?: AttributeMap;
};

const TOKEN = /\s*(<=|>=|<>|[=<>(),.[\]+-]|[:#][A-Za-z0-9_]+|[A-Za-z_][A-Za-z0-9_]*|\d+)/y;

/** The placeholders of one request. Every placeholder must be used by an expression of the request. */
export class Scope {
  private readonly names: Map<string, string>;
  private readonly values: Map<string, AttributeMap[string]>;
  private readonly used = new Set<string>();
  constructor({ ExpressionAttributeNames, ExpressionAttributeValues }: Placeholders) {
    this.names = new Map(Object.entries(ExpressionAttributeNames ?? {}));
    this.values = new Map(
      Object.entries(ExpressionAttributeValues ?? {}).map(([name, value]) => [name, checked(value)]),
    );
    if (ExpressionAttributeNames && this.names.size === 0)
      refuse("ExpressionAttributeNames must not be empty");
    if (ExpressionAttributeValues && this.values.size === 0)
      refuse("ExpressionAttributeValues must not be empty");
    for (const [name, meant] of this.names) {
      if (!/^#[A-Za-z0-9_]+$/.test(name)) refuse(`invalid placeholder ${name}`);
      if (meant === "") refuse(`${name} stands for an empty name`);
      checkLength(name);
    }
    for (const name of this.values.keys()) {
      if (!/^:[A-Za-z0-9_]+$/.test(name)) refuse(`invalid placeholder ${name}`);
      checkLength(name);
    }
    const bytes = [...this.values.values()].reduce((sum, value) => sum + sizeOf(value), 0);
    if (bytes > VALUES_BYTES_MAX) refuse("the values of an expression are over 2 MB");
  }
  name(placeholder: string): string {
    this.used.add(placeholder);
    return this.names.get(placeholder) ?? refuse(`${placeholder} is not in ExpressionAttributeNames`);
  }
  value(placeholder: string): AttributeMap[string] {
    this.used.add(placeholder);
    return this.values.get(placeholder) ?? refuse(`${placeholder} is not in ExpressionAttributeValues`);
  }
  /** Throws if a placeholder was not used. Call this method after all expressions of the request are parsed. */
  expectAllUsed(): void {
    for (const name of [...this.names.keys(), ...this.values.keys()])
      if (!this.used.has(name)) refuse(`${name} is not used in any expression`);
  }
}

function checkLength(placeholder: string): void {
  if (bytesOf(placeholder) > PLACEHOLDER_BYTES_MAX) refuse("a placeholder is longer than 255 bytes");
}

/** Reads an expression token by token and counts the operators. */
export class Parser {
  private readonly tokens: readonly string[];
  private at = 0;
  private operators = 0;
  constructor(
    text: string,
    readonly scope: Scope,
  ) {
    this.tokens = tokensOf(text);
  }
  peek(ahead = 0): string | undefined {
    return this.tokens[this.at + ahead];
  }
  next(): string {
    return this.tokens[this.at++] ?? refuse("the expression ends too early");
  }
  expect(token: string): void {
    const found = this.next();
    if (found !== token) refuse(`expected ${token}, found ${found}`);
  }
  /** Consumes the next token if it is this keyword in upper or lower case. Returns whether the token was consumed. */
  takeWord(word: string): boolean {
    if (this.peek()?.toUpperCase() !== word) return false;
    this.at++;
    return true;
  }
  take(token: string): boolean {
    if (this.peek() !== token) return false;
    this.at++;
    return true;
  }
  countOperator(): void {
    if (++this.operators > OPERATORS_MAX) refuse(`more than ${OPERATORS_MAX} operators`);
  }
  expectEnd(): void {
    if (this.peek() !== undefined) refuse(`unexpected ${this.peek()}`);
  }
  path(): Path {
    const path: (string | number)[] = [this.pathName()];
    for (;;) {
      if (this.take(".")) path.push(this.pathName());
      else if (this.take("[")) {
        const index = this.next();
        if (!/^\d+$/.test(index)) refuse(`invalid list index ${index}`);
        path.push(Number(index));
        this.expect("]");
      } else return path;
    }
  }
  private pathName(): string {
    const token = this.next();
    if (token.startsWith("#")) return this.scope.name(token);
    if (!/^[A-Za-z_]/.test(token)) refuse(`expected an attribute name, found ${token}`);
    if (RESERVED_WORDS.has(token.toUpperCase())) refuse(`${token} is a reserved word`);
    return token;
  }
  /** Parses operands separated by commas. The caller has already consumed the opening parenthesis. */
  private operands(): Operand[] {
    const operands = [this.operand()];
    while (this.take(",")) operands.push(this.operand());
    this.expect(")");
    return operands;
  }
  operand(): Operand {
    const token = this.peek();
    if (token === undefined) refuse("the expression ends too early");
    if (token.startsWith(":")) {
      this.at++;
      return { kind: "value", name: token, value: this.scope.value(token) };
    }
    if (this.peek(1) === "(" && /^[A-Za-z]/.test(token)) {
      this.at += 2;
      this.countOperator();
      return { kind: "call", name: token, operands: this.operands() };
    }
    return { kind: "path", path: this.path() };
  }
}

const TOKENS = new Map<string, readonly string[]>();
const TOKENS_KEPT_MAX = 2000;

function tokensOf(text: string): readonly string[] {
  const known = TOKENS.get(text);
  if (known) return known;
  if (typeof text !== "string" || text.trim() === "") refuse("an expression must not be empty");
  if (bytesOf(text) > EXPRESSION_BYTES_MAX) refuse("an expression is longer than 4 KB");
  const tokens: string[] = [];
  const end = text.trimEnd().length;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const from = TOKEN.lastIndex;
    const found = TOKEN.exec(text);
    if (!found) refuse(`syntax error in the expression at ${text.slice(from, from + 20)}`);
    tokens.push(found[1]!);
  }
  if (TOKENS.size >= TOKENS_KEPT_MAX) TOKENS.clear();
  TOKENS.set(text, tokens);
  return tokens;
}

/** Returns the attribute at a path. Undefined if the path does not exist. */
export function at(item: AttributeMap, path: Path): AttributeMap[string] | undefined {
  let found: AttributeMap[string] | undefined = { M: item };
  for (const step of path) {
    if (found === undefined) return undefined;
    found = typeof step === "number" ? found.L?.[step] : found.M?.[step];
  }
  return found;
}

/** True if the paths are equal or one contains the other. DynamoDB rejects such a pair in one expression. */
export const overlap = (a: Path, b: Path): boolean =>
  a.slice(0, b.length).every((step, i) => step === b[i]) || b.every((step, i) => step === a[i]);

/** Parses a `ProjectionExpression`. */
export function parseProjection(text: string, scope: Scope): Path[] {
  const parser = new Parser(text, scope);
  const paths = [parser.path()];
  while (parser.take(",")) paths.push(parser.path());
  parser.expectEnd();
  paths.forEach((path, i) => {
    if (paths.slice(i + 1).some((other) => overlap(path, other))) refuse("two paths of a projection overlap");
  });
  return paths;
}

export function project(item: AttributeMap, paths: readonly Path[]): AttributeMap {
  const projected: AttributeMap = {};
  for (const path of paths) {
    const value = at(item, path);
    if (value === undefined) continue;
    let into: AttributeMap = projected;
    for (const step of path.slice(0, -1)) {
      into[String(step)] ??= { M: {} };
      into = into[String(step)]!.M!;
    }
    into[String(path.at(-1))] = value;
  }
  return projected;
}
