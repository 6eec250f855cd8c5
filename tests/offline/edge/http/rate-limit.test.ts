import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createRateLimit, rateLimitHeader, rateLimitPolicyHeader } from "../../../../edge/http/rate-limit.ts";

const QUOTA = { name: "device", quota: 10, windowSeconds: 5 };

describe("createRateLimit()", () => {
  test("allows exactly the quota at once, for each key separately", () => {
    const limit = createRateLimit(QUOTA, () => 1000);
    const taken = Array.from({ length: 11 }, () => limit.take("a"));
    expect(taken.map(({ allowed }) => allowed)).toEqual([...Array(10).fill(true), false]);
    expect(taken[0]!.remaining).toBe(9);
    expect(taken[9]!.remaining).toBe(0);
    expect(limit.take("b").allowed).toBe(true);
  });

  test("refills evenly: one more after each step, and none a millisecond earlier", () => {
    let now = 1000;
    const limit = createRateLimit(QUOTA, () => now);
    for (let i = 0; i < 10; i++) limit.take("a");
    now += 499;
    expect(limit.take("a").allowed).toBe(false);
    now += 1;
    expect(limit.take("a").allowed).toBe(true);
    expect(limit.take("a").allowed).toBe(false);
    now += 5000;
    expect(limit.take("a").remaining).toBe(9);
  });

  test("rejects no key longer because the clock was set back, and still allows no more than the quota", () => {
    let now = 10_000_000;
    const limit = createRateLimit(QUOTA, () => now);
    for (let i = 0; i < 10; i++) limit.take("a");
    now -= 3_600_000;
    const taken = Array.from({ length: 11 }, () => limit.take("a").allowed);
    expect(taken).toEqual([...Array(10).fill(true), false]);
    // For the limiter, a clock that goes back by less than one window looks the same as a key that has used
    // its quota.
    now -= 100;
    expect(limit.take("a").allowed).toBe(false);
    now += 600;
    expect(limit.take("a").allowed).toBe(true);
  });

  test("in any sequence, no key gets more than the quota and the refill of the elapsed time", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 3000 }), { maxLength: 200 }), (pauses) => {
        let now = 0;
        const limit = createRateLimit(QUOTA, () => now);
        let allowed = 0;
        for (const pause of pauses) {
          now += pause;
          if (limit.take("a").allowed) allowed++;
        }
        expect(allowed).toBeLessThanOrEqual(10 + Math.floor(now / 500));
      }),
    );
  });
});

test("the headers contain the remaining quota and the rule", () => {
  const limit = createRateLimit(QUOTA, () => 0);
  expect(rateLimitHeader(limit, limit.take("a"))).toBe('"device";r=9;t=1');
  expect(rateLimitPolicyHeader(limit)).toBe('"device";q=10;w=5');
});
