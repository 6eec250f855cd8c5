import { describe, expect, test } from "bun:test";
import { API_KEY_PREFIX } from "../../../../edge/auth/authenticate-api-key.ts";
import { createRateLimit } from "../../../../edge/http/rate-limit.ts";
import { makeAdminApp } from "../../../support/edge/admin-app.ts";

const NOW_MS = 1_790_000_000_000;

/** Test setup: an app that allows each caller three requests per minute. */
async function limited() {
  const clock = { nowMs: NOW_MS };
  const world = await makeAdminApp();
  world.deps.limits.admin = createRateLimit(
    { name: "admin", quota: 3, windowSeconds: 60 },
    () => clock.nowMs,
  );
  const statuses = async (times: number, token: string) => {
    const seen: number[] = [];
    for (let i = 0; i < times; i++) seen.push((await world.ask("/v1/me", token)).status);
    return seen;
  };
  return { world, clock, statuses };
}

describe("the admin API's quota", () => {
  test("the third request in a minute gets a response, and the fourth gets 429 with Retry-After", async () => {
    const { world, clock, statuses } = await limited();
    const token = await world.session();
    expect(await statuses(4, token)).toEqual([200, 200, 200, 429]);
    const refused = await world.ask("/v1/me", token);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(refused.headers.get("ratelimit-policy")).toBe('"admin";q=3;w=60');
    clock.nowMs += 20_000;
    expect(await statuses(2, token)).toEqual([200, 429]);
  });

  test("applies to each admin separately: another admin, and the same user id in another tenant, have their own quota", async () => {
    const { world, statuses } = await limited();
    expect(await statuses(4, await world.session())).toEqual([200, 200, 200, 429]);
    expect(await statuses(1, await world.session({ sub: "user_other" }))).toEqual([200]);
    expect(await statuses(1, await world.session({ o: { id: "org_b", rol: "admin" } }))).toEqual([200]);
  });

  test("attempts with invalid API keys are counted by address before the table is read", async () => {
    const { world, statuses } = await limited();
    const guess = `${API_KEY_PREFIX}org_a_01M807NRG7BVMVH9SM4YAEXFPG_${"A".repeat(43)}`;
    expect(await statuses(3, guess)).toEqual([401, 401, 401]);
    const before = world.asked.length;
    expect(await statuses(5, guess)).toEqual([429, 429, 429, 429, 429]);
    expect(world.asked.length).toBe(before);
  });
});
