/*
 * Evaluates identity-based IAM policies, limited to what this project uses. An explicit Deny wins, and
 * anything not allowed is denied. Sources: "Policy evaluation logic" and "Multivalued context keys" in the
 * IAM User Guide. Throws for unknown elements, so that no statement is ignored.
 */

type Values = string | readonly string[];
export type Statement = {
  Effect: "Allow" | "Deny";
  Action: Values;
  Resource: Values;
  Condition?: Readonly<Record<string, Readonly<Record<string, Values>>>>;
};
export type PolicyDocument = { Version: "2012-10-17"; Statement: readonly Statement[] };

/** A permission that one call needs. `leadingKeys`: the partition keys in the call, of the table or an index. */
export type Asked = { action: string; resource: string; leadingKeys: readonly string[] };

export type Decision = {
  isAllowed: boolean;
  /** The statement that allows or denies the call. Absent if no statement applies; the call is then denied. */
  by?: Statement;
};

const listOf = (values: Values): readonly string[] => (typeof values === "string" ? [values] : values);

/**
 * Matches a pattern with `*` (any text) and `?` (one character). Actions are case-insensitive; everything
 * else is case-sensitive.
 */
function isLike(pattern: string, text: string, flags = ""): boolean {
  const source = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${source}$`, `s${flags}`).test(text);
}

export function decide({ Statement: statements }: PolicyDocument, asked: Asked): Decision {
  const applying = statements.filter((statement) => applies(statement, asked));
  const by =
    applying.find(({ Effect }) => Effect === "Deny") ?? applying.find(({ Effect }) => Effect === "Allow");
  return { isAllowed: by?.Effect === "Allow", ...(by && { by }) };
}

const MEMBERS = new Set(["Sid", "Effect", "Action", "Resource", "Condition"]);

function applies(statement: Statement, asked: Asked): boolean {
  const unknown = Object.keys(statement).find((member) => !MEMBERS.has(member));
  if (unknown !== undefined) throw new Error(`a statement has ${unknown}, which is not understood`);
  const { Action, Resource, Condition = {} } = statement;
  const conditions = Object.entries(Condition).flatMap(([operator, keys]) =>
    Object.entries(keys).map(([key, wanted]) => holds(operator, key, listOf(wanted), asked)),
  );
  return (
    listOf(Action).some((pattern) => isLike(pattern, asked.action, "i")) &&
    listOf(Resource).some((pattern) => isLike(pattern, asked.resource)) &&
    conditions.every(Boolean)
  );
}

const COMPARISONS: Readonly<Record<string, (pattern: string, value: string) => boolean>> = {
  StringEquals: (pattern, value) => pattern === value,
  StringLike: isLike,
};

function holds(operator: string, key: string, wanted: readonly string[], { leadingKeys }: Asked): boolean {
  if (key !== "dynamodb:LeadingKeys") throw new Error(`${key} is a condition key that is not understood`);
  if (operator === "Null") return wanted.every((each) => (each === "true") === (leadingKeys.length === 0));
  const [set, name] = operator.split(":") as [string, string | undefined];
  const compare = COMPARISONS[name ?? ""];
  if (!compare) throw new Error(`${operator} is a condition operator that is not understood`);
  const fits = (value: string) => wanted.some((pattern) => compare(pattern, value));
  // Without values, ForAllValues is true and ForAnyValue is false (IAM User Guide). So a Scan passes a
  // condition that uses only ForAllValues.
  if (set === "ForAllValues") return leadingKeys.every(fits);
  if (set === "ForAnyValue") return leadingKeys.some(fits);
  throw new Error(`${operator} is a condition operator that is not understood`);
}

/**
 * One action of an Allow statement on one of the statement's resources. This is the smallest unit that a
 * policy grants.
 */
export type Grant = { action: string; resource: string };

export const grantsOf = ({ Statement: statements }: PolicyDocument): Grant[] =>
  statements
    .filter(({ Effect }) => Effect === "Allow")
    .flatMap(({ Action, Resource }) =>
      listOf(Action).flatMap((action) => listOf(Resource).map((resource) => ({ action, resource }))),
    );

export const covers = (grant: Grant, asked: Asked): boolean =>
  isLike(grant.action, asked.action, "i") && isLike(grant.resource, asked.resource);
