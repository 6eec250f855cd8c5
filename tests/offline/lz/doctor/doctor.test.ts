import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { denoPath } from "../../../../local/binaries.ts";
import { embeddedDynamodbPath } from "../../../../local/dynamodb.ts";
import { checkEdge, findProgram } from "../../../../lz/doctor/doctor.ts";
import { createApi } from "../../../../lz/platform/api.ts";
import type { Deps } from "../../../../lz/platform/deps.ts";
import { HTML } from "../../../support/dynamo/dynamo-responses.ts";

test("findProgram() finds the programs that the local stack starts", () => {
  expect(findProgram("dynoxide")).toBe(embeddedDynamodbPath());
  expect(findProgram("deno")).toBe(denoPath());
});

const ME = { tenantId: "org_a" };
const EDGE = {
  "/healthz": { status: "ok" },
  "/readyz/admin": { status: "ready", signInKeys: "fresh" },
  "/v1/me": ME,
};

/** Checks of `lz doctor` against a fake edge that returns these bodies for these paths, with status 200. */
async function checksOf(answers: Record<string, object | string>) {
  const fetch = async (request: Request) => {
    const answer = answers[new URL(request.url).pathname];
    return typeof answer === "string" ? new Response(answer) : Response.json(answer ?? {});
  };
  const deps = { fetch, clock: () => 0 } as Pick<Deps, "fetch" | "clock">;
  const checks = await checkEdge({ url: "http://edge.test", token: "t" }, deps);
  return Object.fromEntries(checks.map(({ name, state }) => [name, state]));
}

describe("checkEdge()", () => {
  test("finds no fault on a healthy edge, and does not mention fair queues that work", async () => {
    expect(await checksOf(EDGE)).toEqual({
      edge: "ok",
      clock: "note",
      "edge ready": "ok",
      "sign-in keys": "ok",
      session: "ok",
    });
  });

  test("reports that the queue rejects message groups, with and without a table", async () => {
    for (const status of ["ready", undefined]) {
      const readiness = { ...(status && { status }), fairQueues: "refused" };
      expect(await checksOf({ ...EDGE, "/readyz/admin": readiness })).toMatchObject({
        "fair queues": "note",
      });
    }
  });

  test.each(["/healthz", "/readyz/admin", "/v1/me"])(
    "a page with status 200 at %s is not LifecycleZero's answer",
    async (path) => {
      for (const page of [HTML, "{}", '{"status":"fine"}']) {
        const name = { "/healthz": "edge", "/readyz/admin": "edge ready", "/v1/me": "session" }[path]!;
        expect(await checksOf({ ...EDGE, [path]: page })).toMatchObject({ [name]: "not ok" });
      }
    },
  );
});

test("the API client rejects a page with status 200", async () => {
  const api = createApi({ url: "http://edge.test", token: "t" }, { fetch: async () => new Response(HTML) });
  const any = z.object({ token: z.string() });
  await expect(api.get("/v1/me", any)).rejects.toThrow(
    "check that the URL is that of a LifecycleZero control plane",
  );
  await expect(api.post("/v1/api-keys", {}, any)).rejects.toThrow(
    "check that the URL is that of a LifecycleZero control plane",
  );
  await expect(api.list("/v1/assets", any, 1)).rejects.toThrow(
    "check that the URL is that of a LifecycleZero control plane",
  );
});
