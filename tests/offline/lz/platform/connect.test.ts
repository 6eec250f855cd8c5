import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { findAsset } from "../../../../lz/assets/assets.ts";
import { createApi } from "../../../../lz/platform/api.ts";
import { connectionOf, openStack } from "../../../../lz/platform/connect.ts";
import type { Deps } from "../../../../lz/platform/deps.ts";
import { Failure, Misuse } from "../../../../lz/platform/faults.ts";
import { argumentsOf } from "../arguments-of.ts";

const folder = mkdtempSync(join(tmpdir(), "lz-connect-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const stack = {
  edgeUrl: "http://127.0.0.1:8787",
  tenantId: "org_local",
  adminToken: "admin-token",
  viewerToken: "viewer-token",
  dynamodbEndpoint: "http://127.0.0.1:1",
  sqsEndpoint: "http://127.0.0.1:2",
  queueUrl: "http://127.0.0.1:2/0/q",
};
writeFileSync(join(folder, "stack.json"), JSON.stringify(stack));

const depsOf = (more: Partial<Deps> = {}): Deps => ({
  clock: () => 0,
  random: (length) => new Uint8Array(length),
  env: { LZ_LOCAL_DIR: folder },
  root: folder,
  fetch: async () => new Response("{}"),
  note: () => {},
  stop: new AbortController().signal,
  ...more,
});

describe("connectionOf()", () => {
  test("connectionOf() uses the running local stack by default", () => {
    expect(connectionOf(argumentsOf("assets"), depsOf())).toEqual({
      url: stack.edgeUrl,
      token: "admin-token",
    });
  });

  test("connectionOf() prefers options to the environment", () => {
    const deps = depsOf({ env: { LZ_URL: "https://env.example.com", LZ_TOKEN: "env" } });
    expect(connectionOf(argumentsOf("assets"), deps)).toEqual({
      url: "https://env.example.com",
      token: "env",
    });
    const args = argumentsOf("assets", "--url", "https://option.example.com/x", "--token", "option");
    expect(connectionOf(args, deps)).toEqual({ url: "https://option.example.com", token: "option" });
  });

  test("connectionOf() never sends the local stack's token to another URL", () => {
    expect(() =>
      connectionOf(argumentsOf("assets", "--url", "https://elsewhere.example.com"), depsOf()),
    ).toThrow(Misuse);
  });

  test("connectionOf() rejects http to another machine", () => {
    const to = (url: string) => connectionOf(argumentsOf("assets", "--url", url, "--token", "t"), depsOf());
    for (const url of [
      "http://lz.example.com",
      "http://127.0.0.1.example.com",
      "ftp://127.0.0.1",
      "nonsense",
    ]) {
      expect(() => to(url), url).toThrow(Misuse);
    }
    for (const url of [
      "http://127.0.0.1:8787",
      "http://localhost:1",
      "http://[::1]:1",
      "https://lz.example.com",
    ]) {
      expect(to(url).url).toBe(new URL(url).origin);
    }
  });

  test("openStack() says what to do without a stack, and with a damaged file", () => {
    expect(() => openStack({ root: folder, env: { LZ_LOCAL_DIR: "nowhere" } })).toThrow(/bun run start/);
    const damaged = mkdtempSync(join(folder, "damaged-"));
    writeFileSync(join(damaged, "stack.json"), "{");
    expect(() => openStack({ root: folder, env: { LZ_LOCAL_DIR: damaged } })).toThrow(Failure);
  });
});

describe("createApi()", () => {
  const connection = { url: "http://127.0.0.1:1", token: "very-secret" };
  const failing = async (answer: () => Promise<Response>): Promise<Error> =>
    createApi(connection, { fetch: answer })
      .get("/v1/assets", z.object({}))
      .then(
        () => new Error("did not fail"),
        (error) => error,
      );

  test("createApi() reports a rejection in one line, without control characters and without the token", async () => {
    const problem = { title: "Your role\u001b[2J\ndoes not allow this", detail: "ask", status: 403 };
    const error = await failing(async () => Response.json(problem, { status: 403 }));
    expect(error).toBeInstanceOf(Failure);
    expect(error.message).toMatch(/^rejected with 403: Your role.*does not allow this \(ask\)$/);
    expect(error.message).not.toMatch(/[\u0000-\u001f]|very-secret/);
  });

  test("createApi() reports a missing response, and a response of another server", async () => {
    const gone = await failing(async () => {
      throw new TypeError("connection refused");
    });
    expect(gone.message).toBe(
      "http://127.0.0.1:1 does not respond: check the URL, and that the control plane runs",
    );
    const other = await failing(async () => new Response("<html>"));
    expect(other.message).toContain("check that the URL is that of a LifecycleZero control plane");
  });

  test("createApi() requests all pages of a list, up to the limit", async () => {
    const asked: string[] = [];
    const api = createApi(connection, {
      fetch: async (request) => {
        const url = new URL(request.url);
        asked.push(url.search);
        const from = Number(url.searchParams.get("cursor") ?? 0);
        const limit = Number(url.searchParams.get("limit"));
        const items = Array.from({ length: Math.min(limit, 450 - from) }, (_, index) => ({
          n: from + index,
        }));
        const next = from + items.length;
        return Response.json({ items, ...(next < 450 && { cursor: String(next) }) });
      },
    });
    const item = z.object({ n: z.int() });
    expect((await api.list("/v1/x", item, 1000)).map(({ n }) => n)).toEqual(
      Array.from({ length: 450 }, (_, n) => n),
    );
    asked.length = 0;
    expect(await api.list("/v1/x?a=b", item, 250)).toHaveLength(250);
    expect(asked).toEqual(["?a=b&limit=200", "?a=b&limit=50&cursor=200"]);
  });
});

describe("findAsset()", () => {
  const asset = (assetId: string, hostname: string) => ({
    assetId,
    hostname,
    employeeId: "dana",
    status: "ACTIVE",
    containment: { state: "active", offline: false },
  });
  const items = [
    asset("01JD0000000000000000000001", "desk-1"),
    asset("01JD0000000000000000000002", "desk-2"),
    asset("01JD0000000000000000000003", "desk-2"),
  ];
  const api = createApi(
    { url: "http://127.0.0.1:1", token: "t" },
    { fetch: async () => Response.json({ items }) },
  );

  test("findAsset() accepts an id, and a host name of one asset", async () => {
    expect(await findAsset(api, "01JD0000000000000000000009")).toBe("01JD0000000000000000000009");
    expect(await findAsset(api, "desk-1")).toBe("01JD0000000000000000000001");
  });

  test("findAsset() rejects a host name of several assets or of none", async () => {
    await expect(findAsset(api, "desk-2")).rejects.toThrow(/2 assets have that host name/);
    await expect(findAsset(api, "desk-9")).rejects.toThrow(/no asset/);
  });
});
