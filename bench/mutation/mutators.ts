import { parse } from "@babel/parser";

/**
 * The mutation operators. `mutantsOf()` parses one TypeScript source and lists all changes that the operators
 * make. A mutant is a replacement of a text range, so it can be applied without printing the syntax tree.
 *
 * The operators are those of StrykerJS
 * (https://stryker-mutator.io/docs/mutation-testing-elements/supported-mutators/). In addition, statements,
 * awaits and throws are removed, and numbers are changed by one.
 */

export type Mutant = {
  operator: string;
  /** Offsets in the source, in UTF-16 code units. */
  start: number;
  end: number;
  replacement: string;
};

type Node = { type: string; start: number; end: number; [field: string]: unknown };
type Change = readonly [operator: string, node: { start: number; end: number }, replacement: string];
type Visit = (node: Node, text: (part: Node) => string, parent: Node | undefined) => Change[];

const BOUNDARIES: Record<string, string> = { "<": "<=", "<=": "<", ">": ">=", ">=": ">" };
const NEGATIONS: Record<string, string> = {
  "===": "!==",
  "!==": "===",
  "==": "!=",
  "!=": "==",
  "<": ">=",
  "<=": ">",
  ">": "<=",
  ">=": "<",
};
const ARITHMETIC: Record<string, string> = {
  "+": "-",
  "-": "+",
  "*": "/",
  "/": "*",
  "%": "*",
  "<<": ">>",
  ">>": "<<",
  ">>>": "<<",
  "&": "|",
  "|": "&",
  "^": "&",
};
const LOGICAL: Record<string, string> = { "&&": "||", "||": "&&", "??": "&&" };
const ASSIGNMENTS: Record<string, string> = {
  "+=": "-=",
  "-=": "+=",
  "*=": "/=",
  "/=": "*=",
  "??=": "&&=",
  "||=": "&&=",
  "&&=": "||=",
};
/** Methods that are replaced by their opposite. */
const OPPOSITES: Record<string, string> = {
  some: "every",
  every: "some",
  startsWith: "endsWith",
  endsWith: "startsWith",
  min: "max",
  max: "min",
  toLowerCase: "toUpperCase",
  toUpperCase: "toLowerCase",
};
/** Method names. A call of such a method is replaced by the object on which it is called. */
const DROPPED = new Set([
  "filter",
  "sort",
  "reverse",
  "trim",
  "slice",
  "concat",
  "flat",
  "toSorted",
  "subarray",
]);

const isText = (node: Node): boolean => node.type === "StringLiteral" || node.type === "TemplateLiteral";

/**
 * True for `+` with a string on either side, which is a concatenation. It is not replaced by `-`, because the
 * result would always be NaN.
 */
const joinsText = (node: Node): boolean => {
  const left = node.left as Node;
  return isText(left) || isText(node.right as Node) || (left.type === "BinaryExpression" && joinsText(left));
};

/** Range of the operator in the text between two operands. */
function operatorRange(node: Node, source: string): { start: number; end: number } {
  const from = (node.left as Node).end;
  const start = source.indexOf(node.operator as string, from);
  return { start, end: start + (node.operator as string).length };
}

const binary =
  (source: string): Visit =>
  (node) => {
    const operator = node.operator as string;
    const at = operatorRange(node, source);
    const changes: Change[] = [];
    if (BOUNDARIES[operator]) changes.push(["boundary", at, BOUNDARIES[operator]]);
    if (NEGATIONS[operator]) changes.push(["equality", at, NEGATIONS[operator]]);
    if (ARITHMETIC[operator] && !(operator === "+" && joinsText(node)))
      changes.push(["arithmetic", at, ARITHMETIC[operator]]);
    return changes;
  };

const condition: Visit = (node) => {
  const test = node.test as Node | null;
  if (!test) return [];
  const always: Change = ["condition", test, "true"];
  const never: Change = ["condition", test, "false"];
  // For loops there is no mutant whose condition is always true, because such a mutant would only test the
  // timeout.
  return /^(While|DoWhile|For)Statement$/.test(node.type) ? [never] : [always, never];
};

const regex: Visit = (node) => {
  const pattern = node.pattern as string;
  const flags = node.flags as string;
  const with_ = (changed: string): Change => ["regex", node, `/${changed}/${flags}`];
  const changes: Change[] = [];
  if (pattern.startsWith("^")) changes.push(with_(pattern.slice(1)));
  if (/(?<!\\)\$$/.test(pattern)) changes.push(with_(pattern.slice(0, -1)));
  const swapped = pattern.replace(/\\([dDwWsS])/, (_, letter: string) =>
    letter === letter.toLowerCase() ? `\\${letter.toUpperCase()}` : `\\${letter.toLowerCase()}`,
  );
  if (swapped !== pattern) changes.push(with_(swapped));
  const single = pattern.replace(/(?<=[\])\w])(\+|\*|\{\d+,?\d*\})/, "");
  if (single !== pattern) changes.push(with_(single));
  const negated = pattern.replace(/(?<!\\)\[(\^?)/, (_, caret: string) => (caret ? "[" : "[^"));
  if (negated !== pattern) changes.push(with_(negated));
  return changes;
};

const call: Visit = (node, text) => {
  const callee = node.callee as Node;
  const isMember = callee.type === "MemberExpression" || callee.type === "OptionalMemberExpression";
  if (!isMember || callee.computed) return [];
  const property = callee.property as Node & { name: string };
  if (OPPOSITES[property.name]) return [["method", property, OPPOSITES[property.name]!]];
  if (DROPPED.has(property.name)) return [["method", node, text(callee.object as Node)]];
  return [];
};

const literalText: Visit = (node, text, parent) => {
  const isKey = parent?.key === node && parent.computed !== true;
  if (isKey || parent?.type === "ImportExpression") return [];
  const isTemplate = node.type === "TemplateLiteral";
  if (isTemplate && parent?.type === "TaggedTemplateExpression") return [];
  const isEmpty = text(node).length === 2;
  return [["text", node, isEmpty ? '"mutated"' : '""']];
};

const numeral: Visit = (node, text, parent) => {
  if (parent?.key === node) return [];
  const written = text(node);
  const changed = (by: 1 | -1): string =>
    written.endsWith("n") ? `${BigInt(node.value as string) + BigInt(by)}n` : `${Number(node.value) + by}`;
  return [
    ["number", node, changed(1)],
    // The parentheses are needed, because "-1" after a minus sign would become a decrement.
    ["number", node, changed(-1).startsWith("-") ? `(${changed(-1)})` : changed(-1)],
  ];
};

/** A body without statements has no mutant, because there is nothing to remove. */
const block: Visit = (node) => ((node.body as Node[]).length > 0 ? [["block", node, "{}"]] : []);

/** Mutations by type of syntax node. Other nodes, such as types, imports and declarations, have no mutants. */
const VISITS: Record<string, (source: string) => Visit> = {
  BinaryExpression: binary,
  LogicalExpression: (source) => (node, text) => {
    const swap: Change = ["logical", operatorRange(node, source), LOGICAL[node.operator as string]!];
    // `a ?? b` has two additional mutants: always `a`, and always `b`.
    if (node.operator !== "??") return [swap];
    return [
      ["logical", node, text(node.left as Node)],
      ["logical", node, text(node.right as Node)],
    ];
  },
  UnaryExpression: () => (node, text) =>
    node.operator === "!" || node.operator === "-" || node.operator === "~"
      ? [["unary", node, text(node.argument as Node)]]
      : [],
  UpdateExpression: () => (node, text) => {
    const [operator, other] = node.operator === "++" ? ["++", "--"] : ["--", "++"];
    return [["update", node, text(node).replace(operator!, other!)]];
  },
  AssignmentExpression: (source) => (node) => {
    const other = ASSIGNMENTS[node.operator as string];
    return other ? [["assignment", operatorRange(node, source), other]] : [];
  },
  BooleanLiteral: () => (node) => [["boolean", node, node.value ? "false" : "true"]],
  StringLiteral: () => literalText,
  TemplateLiteral: () => literalText,
  NumericLiteral: () => numeral,
  BigIntLiteral: () => numeral,
  RegExpLiteral: () => regex,
  IfStatement: () => condition,
  ConditionalExpression: () => condition,
  WhileStatement: () => condition,
  DoWhileStatement: () => condition,
  ForStatement: () => condition,
  ExpressionStatement: () => (node) => [["statement", node, ";"]],
  ThrowStatement: () => (node) => [["statement", node, ";"]],
  ContinueStatement: () => (node) => [["statement", node, ";"]],
  BreakStatement: () => (node, _text, parent) =>
    parent?.type === "SwitchCase" ? [] : [["statement", node, ";"]],
  ReturnStatement: () => (node) =>
    node.argument && (node.argument as { name?: string }).name !== "undefined"
      ? [["return", node, "return undefined as never;"]]
      : [],
  ArrowFunctionExpression: () => (node) => {
    const body = node.body as Node;
    return body.type === "BlockStatement" ? [] : [["return", body, "(undefined as never)"]];
  },
  BlockStatement: () => block,
  AwaitExpression: () => (node, text) => [["await", node, `(${text(node.argument as Node)})`]],
  OptionalMemberExpression: (source) => (node) => {
    if (!node.optional) return [];
    const start = source.indexOf("?.", (node.object as Node).end);
    return [["optional chain", { start, end: start + 2 }, node.computed ? "!" : "!."]];
  },
  ArrayExpression: () => (node) =>
    (node.elements as unknown[]).length > 0 ? [["array", node, "[]"]] : [["array", node, '["mutated"]']],
  ObjectExpression: () => (node) =>
    (node.properties as unknown[]).length > 0 ? [["object", node, "({})"]] : [],
  SpreadElement: () => (node) => [["spread", node, ""]],
  CallExpression: () => call,
  OptionalCallExpression: () => call,
};

/** Names of node fields that contain types. Types have no effect at run time. */
const TYPE_FIELD =
  /^(typeAnnotation|typeParameters|typeArguments|returnType|superTypeParameters|implements)$/;
const SKIPPED =
  /^(Import(Declaration|Attribute)|Export(All)Declaration|TS(TypeAliasDeclaration|InterfaceDeclaration|.*Type|DeclareFunction))$/;

/**
 * Extends the range by an adjacent comma. Otherwise, removing an element would leave a hole in a list or
 * cause a syntax error in arguments.
 */
function withComma(source: string, { start, end }: { start: number; end: number }) {
  const after = /^\s*,/.exec(source.slice(end));
  if (after) return { start, end: end + after[0].length };
  const before = /,\s*$/.exec(source.slice(0, start));
  return before ? { start: start - before[0].length, end } : { start, end };
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && typeof (value as Node).type === "string";
}

/** All mutants of a source, sorted by position. Excludes mutants that are not valid TypeScript. */
export function mutantsOf(source: string): Mutant[] {
  const tree = parse(source, { sourceType: "module", plugins: ["typescript"] }) as unknown as {
    program: Node;
  };
  const text = (node: Node) => source.slice(node.start, node.end);
  const found: Mutant[] = [];
  const walk = (node: Node, parent: Node | undefined): void => {
    if (SKIPPED.test(node.type)) return;
    const visit = VISITS[node.type]?.(source);
    for (const [operator, range, replacement] of visit?.(node, text, parent) ?? []) {
      const { start, end } = operator === "spread" ? withComma(source, range) : range;
      found.push({ operator, start, end, replacement });
    }
    for (const [field, value] of Object.entries(node)) {
      if (TYPE_FIELD.test(field) || field === "loc" || field.endsWith("Comments")) continue;
      if (field === "source" && node.type.startsWith("Export")) continue;
      for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) walk(child, node);
    }
  };
  walk(tree.program, undefined);
  const transpiler = new Bun.Transpiler({ loader: "ts" });
  const isValid = (mutant: Mutant): boolean => {
    try {
      transpiler.transformSync(apply(source, mutant));
      return true;
    } catch {
      return false;
    }
  };
  return found.filter(isValid).sort((a, b) => a.start - b.start || a.end - b.end);
}

export function apply(source: string, { start, end, replacement }: Mutant): string {
  return source.slice(0, start) + replacement + source.slice(end);
}
