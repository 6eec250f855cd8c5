import { describe, expect, test } from "bun:test";
import { catalogue } from "../../../../../agent/catalogue/engines/list.ts";
import { fingerprint } from "../../../../../agent/scan/probe/fingerprint.ts";
import {
  type ByteBudget,
  createByteBudget,
  createKeeper,
  KEPT_LIMITS,
  pruned,
  withoutDensity,
} from "../../../../../agent/scan/probe/kept-answer.ts";

const answer = (body: unknown, headers: Record<string, string> = {}) => ({
  status: 200,
  headers,
  body: typeof body === "string" ? body : JSON.stringify(body),
});
const DENSE = Array.from({ length: 20_000 }, () => []);

/** A memory budget that records its current and its highest use. */
function watched(limit?: number) {
  const budget = createByteBudget(limit, () => undefined);
  const seen = { now: 0, most: 0, refused: 0 };
  const shared: ByteBudget = {
    ...budget,
    take: (bytes) => {
      const isTaken = budget.take(bytes);
      if (isTaken) seen.now += bytes;
      else seen.refused += 1;
      seen.most = Math.max(seen.most, seen.now);
      return isTaken;
    },
    release: (bytes) => {
      seen.now -= bytes;
      budget.release(bytes);
    },
  };
  return { shared, seen };
}

describe("createKeeper()", () => {
  test("keeps no complete body, only the JSON and the headers that are read later", () => {
    const keeper = createKeeper(catalogue, watched().shared);
    const kept = keeper.keep(
      "/docs",
      answer({ a: 1 }, { server: "uvicorn", "set-cookie": "x".repeat(8000) }),
    );
    expect(kept).toEqual({ status: 200, headers: { server: "uvicorn" }, body: "", json: undefined });
    const models = { object: "list", data: [{ id: "m", object: "model" }] };
    expect(keeper.keep("/v1/models", answer(models)).json).toEqual(models);
  });

  test("keeps at most the limit of each listener, and the limit of all listeners together", () => {
    const { shared, seen } = watched();
    const keepers = Array.from({ length: 32 }, () => createKeeper(catalogue, shared));
    for (const keeper of keepers) {
      const before = seen.now;
      for (const path of ["/v1/models", "/api/tags", "/api/ps", "/api/version"])
        keeper.keep(path, answer(DENSE));
      expect(seen.now - before).toBeLessThanOrEqual(KEPT_LIMITS.LISTENER_BYTES_MAX);
    }
    expect(seen.most).toBeGreaterThan(KEPT_LIMITS.BYTES_MAX / 2);
    expect(seen.most).toBeLessThanOrEqual(KEPT_LIMITS.BYTES_MAX);
    expect(seen.refused).toBeGreaterThan(0);
    for (const keeper of keepers) keeper.close();
    expect(seen.now).toBe(0);
  });

  test("runs the garbage collector after many dropped bytes", () => {
    let collected = 0;
    const shared = createByteBudget(KEPT_LIMITS.BYTES_MAX, () => (collected += 1));
    const keeper = createKeeper(catalogue, shared);
    keeper.keep("/docs", answer("<title>small</title>"));
    expect(collected).toBe(0);
    for (let at = 0; at < 20; at += 1) keeper.keep(`/${at}`, answer(DENSE));
    expect(collected).toBeGreaterThan(1);
  });
});

test("fingerprint() releases the memory that it kept, even if a server fails in the middle", async () => {
  const { shared, seen } = watched();
  let asked = 0;
  const probe = async () => {
    asked += 1;
    if (asked > 5) throw new Error("the network is gone");
    return answer(DENSE);
  };
  const deps = { probe, catalogue, elapsed: () => 0, kept: shared };
  const where = { address: "127.0.0.1", port: 1 };
  expect(fingerprint(deps, where, new Set())).rejects.toThrow("the network is gone");
  await Bun.sleep(0);
  expect([seen.most > 0, seen.now]).toEqual([true, 0]);
});

test("withoutDensity() cuts JSON with more values than are read later, and no other text", () => {
  const dense = JSON.stringify(DENSE);
  const { body, tokens } = withoutDensity(dense);
  expect(body.length).toBeLessThan(dense.length);
  expect(tokens).toBe(KEPT_LIMITS.TOKENS_MAX + 1);
  const page = `<p>${",".repeat(20_000)}</p>`;
  expect(withoutDensity(page)).toEqual({ body: page, tokens: 0 });
});

test("pruned() keeps the first members, and cuts long texts and deep nesting", () => {
  const models = Array.from({ length: 400 }, (_, at) => ({ id: `model-${at}`, object: "model" }));
  expect(pruned({ data: models }, 512 * 1024).value).toEqual({ data: models });
  const { value, bytes } = pruned({ data: models }, 20_000);
  const some = (value as { data: unknown[] }).data;
  // The last model in the list may be truncated.
  expect(some.slice(0, -1)).toEqual(models.slice(0, some.length - 1));
  expect(some.length).toBeGreaterThan(20);
  expect(bytes).toBeLessThanOrEqual(20_000);
  expect((pruned("x".repeat(5000), 20_000).value as string).length).toBe(KEPT_LIMITS.TEXT_LENGTH_MAX);
  const deep = JSON.parse(`${"[".repeat(50)}${"]".repeat(50)}`);
  expect(JSON.stringify(pruned(deep, 20_000).value).length).toBeLessThan(30);
  expect(pruned([1], 0)).toEqual({ value: undefined, bytes: 0 });
});
