import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { verifyCustody } from "../../../shared/containment/custody-chain.ts";
import type { AuditItem, CustodyHeadItem } from "../../../shared/table/items/custody.ts";
import { openIncident } from "../../support/control/open-incident.ts";
import {
  faultOf,
  type JsonSchema,
  SPECIFICATION,
  type SpecOperation,
} from "../../support/edge/openapi-operation.ts";
import { enrolAsset, startTestStack, type TestStack } from "../../support/stack.ts";

/**
 * Generates valid and invalid requests from the OpenAPI description and sends them to the live API. Every
 * response must match the description: a documented status, a body that fits its schema, and never a 5xx
 * status.
 */

const REQUESTS_PER_OPERATION = Number(process.env.LZ_FUZZ_REQUESTS ?? 60);
const SEED = Number(process.env.LZ_FUZZ_SEED ?? 20_261_122);

/** Strings that often cause faults in APIs. */
const HOSTILE = [
  "",
  " ",
  "0",
  "-1",
  "null",
  "undefined",
  "__proto__",
  "constructor",
  "#",
  "%23",
  "a#b",
  "\u0000",
  "\r\nx-injected: 1",
  "\u202eabc",
  "\ud800",
  "\uffff",
  "💩",
  "../../etc/passwd",
  "' OR 1=1 --",
  "{{7*7}}",
  "$" + "{7*7}",
  "<script>alert(1)</script>",
  "1e309",
  "9".repeat(400),
  "a".repeat(5000),
];

const hostile = fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: "binary", maxLength: 60 }));
const anything = fc.oneof(
  hostile,
  fc.jsonValue({ maxDepth: 6 }),
  fc.constant({ __proto__: { admin: true } }),
);

/** Generates values that a schema allows. Supports the JSON Schema keywords that the OpenAPI description uses. */
function valid(schema: JsonSchema): fc.Arbitrary<unknown> {
  const {
    $ref,
    enum: choices,
    type,
    anyOf,
    minimum = 0,
    maximum = 1_000_000,
    default: preset,
  } = schema as {
    $ref?: string;
    enum?: unknown[];
    type?: string;
    anyOf?: JsonSchema[];
    minimum?: number;
    maximum?: number;
    default?: unknown;
  };
  if ($ref) return valid(SPECIFICATION.components.schemas[$ref.split("/").at(-1)!] as JsonSchema);
  if (choices) return fc.constantFrom(...choices);
  if (anyOf) return fc.oneof(...anyOf.map(valid));
  if (type === "boolean") return fc.boolean();
  if (type === "integer" || type === "number")
    return fc.integer({ min: minimum, max: Math.min(maximum, 2 ** 31) });
  if (type === "string") return fc.oneof(fc.constant(preset ?? "because of it"), textOf(schema));
  if (type === "array") return fc.array(valid((schema.items ?? {}) as JsonSchema), { maxLength: 4 });
  if (type === "object") return objectOf(schema);
  return fc.jsonValue({ maxDepth: 2 });
}

function textOf({ pattern, maxLength = 60 }: JsonSchema): fc.Arbitrary<string> {
  const plain = fc.string({
    unit: "grapheme-ascii",
    minLength: 3,
    maxLength: Math.min(Number(maxLength), 80),
  });
  return typeof pattern === "string" && !pattern.includes("\\u")
    ? fc.stringMatching(new RegExp(pattern))
    : plain;
}

function objectOf({ properties = {}, required = [] }: JsonSchema): fc.Arbitrary<unknown> {
  const members = Object.entries(properties as Record<string, JsonSchema>).map(([name, member]) => [
    name,
    valid(member),
  ]);
  return fc.record(Object.fromEntries(members) as Record<string, fc.Arbitrary<unknown>>, {
    requiredKeys: required as string[],
  });
}

type Request = { path: string; headers: Record<string, string>; body?: string };

/** Generates allowed values in most cases, and arbitrary values in the other cases. */
const mostly = (good: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 4, arbitrary: good }, { weight: 1, arbitrary: anything });

/** Removes characters that the HTTP client refuses to send in header values. */
const sendable = (text: string) => text.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, "").trim();

function requestsTo(
  path: string,
  operation: SpecOperation,
  ids: Record<string, string>,
): fc.Arbitrary<Request> {
  const parameters = operation.parameters ?? [];
  const value = (name: string, schema: JsonSchema) =>
    ids[name] ? fc.oneof(fc.constant(ids[name]), mostly(valid(schema))) : mostly(valid(schema));
  const values = fc.record(
    Object.fromEntries(
      parameters.map(({ name, schema }) => [name, fc.option(value(name, schema), { freq: 6 })]),
    ),
  );
  const schema = operation.requestBody?.content["application/json"].schema;
  const body = schema ? mostly(valid(schema)) : fc.constant(undefined);
  return fc.tuple(values, body).map(([given, content]) => {
    const text = (name: string) => {
      const it = given[name];
      return it === null || it === undefined ? undefined : typeof it === "string" ? it : JSON.stringify(it);
    };
    const query = new URLSearchParams();
    const headers: Record<string, string> = {};
    for (const { name, in: where } of parameters) {
      const it = text(name);
      if (it === undefined) continue;
      if (where === "query") query.set(name, it.toWellFormed());
      if (where === "header") headers[name] = sendable(it);
    }
    const filled = path.replaceAll(/\{(\w+)\}/g, (_all, name: string) =>
      // The HTTP client would remove the path segments `.` and `..`, and an empty segment would change the
      // route.
      encodeURIComponent((text(name) ?? ids[name] ?? "x").toWellFormed()).replace(/^(\.{0,2})$/, "x$1"),
    );
    return {
      path: query.size > 0 ? `${filled}?${query}` : filled,
      headers: { ...headers, ...(content !== undefined && { "content-type": "application/json" }) },
      ...(content !== undefined && { body: JSON.stringify(content) }),
    };
  });
}

describe("admin API", () => {
  let stack: TestStack;
  const ids: Record<string, string> = {};
  const statuses = new Map<number, number>();
  beforeAll(async () => {
    stack = await startTestStack("bun", { workers: 0, environment: { LZ_ADMIN_PER_MINUTE: "10000000" } });
    const asset = await enrolAsset(stack, "fuzzed");
    ids.assetId = asset.assetId;
    ids.employeeId = "dana";
    ids.incidentId = await openIncident(stack, asset);
  });
  afterAll(() => {
    const counts = [...statuses]
      .toSorted(([a], [b]) => a - b)
      .map(([status, count]) => `${count} × ${status}`);
    console.log(`admin API fuzzed with seed ${SEED}: ${counts.join(", ")}`);
    return stack?.stop();
  });

  for (const [path, operations] of Object.entries(SPECIFICATION.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      test(`${operation.operationId} responds to any input as documented`, async () => {
        const property = fc.asyncProperty(
          requestsTo(path, operation, ids),
          async ({ path, headers, body }) => {
            const answer = await fetch(`${stack.edgeUrl}${path}`, {
              method: method.toUpperCase(),
              headers: { authorization: `Bearer ${stack.adminToken}`, ...headers },
              ...(body !== undefined && { body }),
            });
            statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
            if (answer.status === 431) return; // The runtime rejects the header with status 431 before the edge's code runs.
            expect(answer.status).toBeLessThan(500);
            expect(await faultOf(method, path, answer)).toBeUndefined();
          },
        );
        await fc.assert(property, { numRuns: REQUESTS_PER_OPERATION, seed: SEED });
      }, 60_000);
    }
  }

  test("after all requests the custody log verifies, and some requests were accepted and some rejected", async () => {
    const answer = await fetch(`${stack.edgeUrl}/v1/custody`, {
      headers: { authorization: `Bearer ${stack.adminToken}` },
    });
    const { records, head } = (await answer.json()) as { records: AuditItem[]; head: CustodyHeadItem };
    expect(await verifyCustody(records, head)).toBeUndefined();
    expect(new Set(records.map(({ action }) => action)).size).toBeGreaterThan(5);
    for (const status of [200, 201, 400, 404, 409]) expect(statuses.get(status) ?? 0).toBeGreaterThan(0);
  });
});
