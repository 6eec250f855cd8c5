import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Hono } from "hono";
import { z } from "zod";
import { readBody } from "../../../../edge/http/read-body.ts";
import { jsonBody, keepForm, valid, validate } from "../../../../edge/http/validate.ts";
import type { Env } from "../../../../edge/request-env.ts";
import { makeEdgeApp } from "../../../support/edge/edge-app.ts";
import { ROOT } from "../../../support/stack.ts";

const BYTES_MAX = 64;
const schema = z.strictObject({ name: z.string().max(5) });
const { deps } = await makeEdgeApp();

function appOf(): Hono<Env> {
  const app = new Hono<Env>();
  const refused = (c: { text(text: string, status: 400): Response }) => c.text("ours", 400);
  app.post(
    "/json",
    jsonBody((c) => readBody(c.req.raw, BYTES_MAX), deps),
    validate("json", schema, refused),
    (c) => c.json(valid(c, "json", schema)),
  );
  app.post(
    "/form",
    async (c, next) => {
      keepForm(c, JSON.parse(await c.req.raw.text()));
      await next();
    },
    validate("form", schema, refused),
    (c) => c.json(valid(c, "form", schema)),
  );
  return app;
}

const post = (path: string, body: string, type = "application/json") =>
  appOf().request(path, { method: "POST", headers: { "content-type": type }, body });

describe("validate()", () => {
  test("passes the handler the result of the schema for a JSON body that was read within its limits", async () => {
    const answer = await post("/json", '{"name":"ada"}');
    expect([answer.status, await answer.json()]).toEqual([200, { name: "ada" }]);
  });

  test("returns the edge's own error and never one of zod", async () => {
    for (const body of ['{"name":"longer"}', '{"name":"ada","more":1}', "{}"]) {
      const answer = await post("/json", body);
      expect([answer.status, await answer.text()]).toEqual([400, "ours"]);
    }
  });

  test.each([
    ["too large", JSON.stringify({ name: "a".repeat(BYTES_MAX) }), "application/json", "wire.too-large"],
    ["not JSON", '{"name":', "application/json", "wire.malformed"],
    ["nested too deep", "[".repeat(20) + "]".repeat(20), "application/json", "wire.malformed"],
    ["of another media type", '{"name":"ada"}', "text/plain", "wire.media-type"],
  ])("a body that is %s gets its published error code", async (_what, body, type, code) => {
    const answer = await post("/json", body, type);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect((await answer.json()).code).toBe(code);
  });

  test("validates the fields of a form that was already read", async () => {
    const type = "application/x-www-form-urlencoded";
    const answer = await post("/form", '{"name":"ada"}', type);
    expect([answer.status, await answer.json()]).toEqual([200, { name: "ada" }]);
    expect((await post("/form", '{"name":"ada","name[]":"x"}', type)).status).toBe(400);
  });
});

test("no route of the edge parses its own parameters, query or form", () => {
  const sources = [...new Bun.Glob("edge/**/*.{ts,tsx}").scanSync(ROOT)];
  expect(sources.length).toBeGreaterThan(80);
  const parsing = /afeParse\((?:c\.req\.(?:param|query|queries|parseBody)\b|fields\))/;
  expect(sources.filter((path) => parsing.test(readFileSync(join(ROOT, path), "utf8")))).toEqual([]);
  // Heartbeats do not pass through Hono (decision 0014), so their route is not in this list.
  const users = sources.filter((path) => readFileSync(join(ROOT, path), "utf8").includes("/validate.ts"));
  expect(users.sort()).toEqual([
    "edge/api/api-routes.ts",
    "edge/dashboard/exports/export-routes.ts",
    "edge/dashboard/routes.tsx",
    "edge/dashboard/routing/post-route.ts",
    "edge/enrolment/device-routes.ts",
  ]);
});
