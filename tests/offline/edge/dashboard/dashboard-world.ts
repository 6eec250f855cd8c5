import { importJWK, SignJWT } from "jose";
import type { createApp } from "../../../../edge/app.ts";
import type { Deps } from "../../../../edge/deps.ts";
import { ISSUER } from "../../../../local/issuer.ts";
import { type AttributeMap, type Dynamo, DynamoFault } from "../../../../shared/table/dynamo.ts";
import { EDGE_URL, makeEdgeApp } from "../../../support/edge/edge-app.ts";

/** Test setup: the dashboard with a read-only table in memory. If a page writes to the table, its test fails. */
export type World = {
  app: ReturnType<typeof createApp>;
  deps: Deps;
  /** Names of the database operations so far, in order. */
  asked: string[];
  /** The fake table. If `broken` is true, every read fails. */
  table: { broken: boolean; items: AttributeMap[] };
  clock: { nowMs: number };
  session(claims?: Claims): Promise<string>;
  /** Signs any payload with the key of the identity provider. */
  sign(payload: object): Promise<string>;
  get(path: string, headers?: Record<string, string>, claims?: Claims): Promise<Response>;
};

type Claims = { tenantId?: string; userId?: string; role?: string; sessionId?: string; act?: object };

export const ORIGIN = EDGE_URL;

export async function createWorld(items: AttributeMap[], nowMs: number): Promise<World> {
  const clock = { nowMs };
  const table = { broken: false, items };
  const asked: string[] = [];
  const { app, deps, secrets } = await makeEdgeApp({
    clock: () => clock.nowMs,
    dynamo: readOnlyDynamo(table, asked),
  });
  const key = await importJWK(secrets.issuerKey, "RS256");
  const session = (claims: Claims = {}) => {
    const { tenantId = "org_a", userId = "user_mara", role = "admin", sessionId = "sess_1", act } = claims;
    const issuedAt = Math.floor(clock.nowMs / 1000);
    return new SignJWT({
      sid: sessionId,
      azp: ORIGIN,
      v: 2,
      o: { id: tenantId, rol: role },
      ...(act && { act }),
    })
      .setProtectedHeader({ alg: "RS256", kid: secrets.issuerKey.kid as string })
      .setIssuer(ISSUER)
      .setSubject(userId)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + 3600)
      .sign(key);
  };
  return {
    app,
    deps,
    asked,
    table,
    clock,
    session,
    sign: (payload) =>
      new SignJWT({ ...payload })
        .setProtectedHeader({ alg: "RS256", kid: secrets.issuerKey.kid as string })
        .sign(key),
    async get(path, headers = {}, claims = {}) {
      const cookie = `__session=${await session(claims)}`;
      return app.request(ORIGIN + path, { headers: { cookie, ...headers } });
    },
  };
}

/**
 * A minimal fake of DynamoDB. It supports reads by key, by sort key prefix and by sort key range. All other
 * operations throw.
 */
function readOnlyDynamo(table: World["table"], asked: string[]): Dynamo {
  return (async (operation: string, input: Record<string, unknown>) => {
    asked.push(operation);
    if (table.broken) throw new DynamoFault("InternalServerError");
    const { items } = table;
    if (operation === "GetItem") {
      const key = input.Key as AttributeMap;
      return { Item: items.find((item) => item.PK!.S === key.PK!.S && item.SK!.S === key.SK!.S) };
    }
    if (operation === "BatchGetItem") {
      const [name, { Keys }] = Object.entries(
        input.RequestItems as Record<string, { Keys: AttributeMap[] }>,
      )[0]!;
      const found = items.filter((item) =>
        Keys.some((key) => key.PK!.S === item.PK!.S && key.SK!.S === item.SK!.S),
      );
      return { Responses: { [name]: found } };
    }
    if (operation === "Query") return query(items, input);
    throw new Error(`a page must not ask for ${operation}`);
  }) as Dynamo;
}

function query(items: AttributeMap[], input: Record<string, unknown>) {
  const index = (input.IndexName ?? "") as string;
  const values = input.ExpressionAttributeValues as AttributeMap;
  const partition = (values[":pk"] ?? values[":tenant"])!.S!;
  const prefix = values[":prefix"]?.S ?? "";
  const [first, last] = [values[":first"]?.S, values[":last"]?.S];
  const until = values[":until"]?.S;
  const sort = (item: AttributeMap) => item[`${index}SK`]!.S!;
  const isWanted = (key: string) =>
    first !== undefined && last !== undefined ? key >= first && key <= last : key.startsWith(prefix);
  const found = items
    .filter((item) => item[`${index}PK`]?.S === partition && isWanted(sort(item)))
    .filter((item) => until === undefined || sort(item) <= until)
    .sort((a, b) => (sort(a) < sort(b) ? -1 : 1));
  if (input.ScanIndexForward === false) found.reverse();
  const names = input.ExpressionAttributeNames as Record<string, string> | undefined;
  if (input.ProjectionExpression && names) {
    const kept = new Set(["PK", "SK", ...Object.values(names)]);
    for (const [i, item] of found.entries()) {
      found[i] = Object.fromEntries(Object.entries(item).filter(([name]) => kept.has(name)));
    }
  }
  const start = input.ExclusiveStartKey as AttributeMap | undefined;
  const after = start
    ? found.findIndex(({ PK, SK }) => PK!.S === start.PK!.S && SK!.S === start.SK!.S) + 1
    : 0;
  const end = after + ((input.Limit as number | undefined) ?? found.length);
  if (end >= found.length) return { Items: found.slice(after) };
  const LastEvaluatedKey = Object.fromEntries(
    Object.entries(found[end - 1]!).filter(([name]) => /^(GSI\d)?[PS]K$/.test(name)),
  );
  return { Items: found.slice(after, end), LastEvaluatedKey };
}
