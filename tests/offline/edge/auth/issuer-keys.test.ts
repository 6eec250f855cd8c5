import { beforeAll, describe, expect, test } from "bun:test";
import { exportJWK, generateKeyPair, type JWK } from "jose";
import { createIssuerKeys, KEPT_MS, readKeySet } from "../../../../edge/auth/issuer-keys.ts";
import { MINUTE_MS } from "../../../../shared/time/durations.ts";
import { makeAdminApp } from "../../../support/edge/admin-app.ts";

let [first, second]: JWK[] = [];
beforeAll(async () => {
  [first, second] = await Promise.all(["k1", "k2"].map(makeKey));
});

async function makeKey(kid: string): Promise<JWK> {
  const { publicKey } = await generateKeyPair("RS256", { extractable: true });
  return { ...(await exportJWK(publicKey)), kid, alg: "RS256", use: "sig" };
}

type Answer = () => Response | Promise<Response>;
const DOWN: Answer = () => new Response("down", { status: 503 });
const HANGS: Answer = () => new Promise<never>(() => {});
const serves =
  (...keys: (JWK | undefined)[]): Answer =>
  () =>
    Response.json({ keys });

function harness(shared = true) {
  const issuer = { nowMs: 1_790_000_000_000, asked: 0, answer: serves(first), signals: [] as unknown[] };
  const logged: { level: string; event: string; fields: Record<string, unknown> }[] = [];
  const outcomes: [boolean, number | undefined][] = [];
  const keys = createIssuerKeys({
    url: "https://issuer.test/jwks",
    fetch: async (_url, init) => {
      issuer.asked++;
      issuer.signals.push(init.signal);
      return issuer.answer();
    },
    clock: () => issuer.nowMs,
    log: (level, event, fields = {}) => void logged.push({ level, event, fields }),
    instruments: { issuerKeysAsked: (ok, ageMs) => void outcomes.push([ok, ageMs]) },
    shared,
  });
  const find = async (kid: string): Promise<string> => {
    try {
      await keys.get({ alg: "RS256", kid }, { payload: "", signature: "" });
      return "found";
    } catch (error) {
      return (error as { code?: string }).code ?? "no keys";
    }
  };
  return { issuer, keys, find, logged, outcomes };
}
const UNKNOWN = "ERR_JWKS_NO_MATCHING_KEY";

for (const shared of [true, false])
  describe(`createIssuerKeys(), ${shared ? "shared I/O" : "I/O of each request its own, as on workerd"}`, () => {
    test("accepts sessions for 24 hours of an outage, and not longer", async () => {
      const { issuer, keys, find } = harness(shared);
      expect([keys.state(), await find("k1"), keys.state()]).toEqual(["unasked", "found", "fresh"]);
      issuer.answer = DOWN;
      for (const minutes of [9, 11, 60, 12 * 60, 24 * 60 - 1]) {
        issuer.nowMs = 1_790_000_000_000 + minutes * MINUTE_MS;
        expect([minutes, await find("k1"), await find("k1")]).toEqual([minutes, "found", "found"]);
      }
      expect(keys.state()).toBe("stale");
      issuer.nowMs = 1_790_000_000_000 + KEPT_MS;
      expect([await find("k1"), keys.state()]).toEqual(["no keys", "away"]);
      issuer.nowMs += 1000;
      issuer.answer = serves(first);
      expect([await find("k1"), keys.state()]).toEqual(["found", "fresh"]);
    });

    test("requests the keys of an issuer that is down once in 30 s, for any number of tokens", async () => {
      const { issuer, find } = harness(shared);
      await find("k1");
      issuer.answer = DOWN;
      issuer.nowMs += 6 * MINUTE_MS;
      await find("k1");
      const before = issuer.asked;
      for (let i = 0; i < 600; i++) {
        issuer.nowMs += 100;
        expect(await find("k1")).toBe("found");
      }
      await Bun.sleep(0);
      expect(issuer.asked - before).toBe(2);
    });

    test("requests an unknown key at most once in 30 s, and finds a new key with the first request", async () => {
      const { issuer, find } = harness(shared);
      await find("k1");
      const before = issuer.asked;
      for (let i = 0; i < 900; i++) {
        issuer.nowMs += 100;
        expect(await find(`made-up-${i}`)).toBe(UNKNOWN);
      }
      expect(issuer.asked - before).toBe(3);
      issuer.nowMs += 30_000;
      issuer.answer = serves(first, second);
      expect([await find("k2"), await find("k1")]).toEqual(["found", "found"]);
    });

    test("an unknown key is also rejected as unknown during an outage, and is not a fault", async () => {
      const { issuer, find } = harness(shared);
      await find("k1");
      issuer.answer = DOWN;
      for (const minutes of [1, 6, 600]) {
        issuer.nowMs += minutes * MINUTE_MS;
        expect(await find("made-up")).toBe(UNKNOWN);
      }
    });

    test("rejects a key within five minutes after a healthy issuer has removed it", async () => {
      const { issuer, find } = harness(shared);
      issuer.answer = serves(first, second);
      expect(await find("k1")).toBe("found");
      issuer.answer = serves(second);
      issuer.nowMs += 5 * MINUTE_MS;
      expect([await find("k1"), await find("k2")]).toEqual([UNKNOWN, "found"]);
    });

    test("rejects a removed key with the first request after a quiet night", async () => {
      const { issuer, find } = harness(shared);
      await find("k1");
      issuer.answer = serves(second);
      issuer.nowMs += 8 * 60 * MINUTE_MS;
      expect(await find("k1")).toBe(UNKNOWN);
    });

    const GARBAGE: Record<string, Answer> = {
      HTML: () => new Response("<html>maintenance</html>", { headers: { "content-type": "text/html" } }),
      nothing: () => new Response(""),
      "an empty object": () => Response.json({}),
      null: () => Response.json(null),
      "a set without keys": () => Response.json({ keys: [] }),
      "keys of another kind": () =>
        Response.json({ keys: [{ kty: "oct", k: "c2VjcmV0", kid: "k1", alg: "HS256" }] }),
      "a key too short": () =>
        Response.json({ keys: [{ kty: "RSA", kid: "k1", n: "AQAB".repeat(32), e: "AQAB" }] }),
      "a key for encryption": () => Response.json({ keys: [{ ...first, use: "enc" }] }),
      "two keys of one name": serves(first, first),
      "a redirect": () => Response.redirect("https://evil.test/jwks", 302),
      "more than 256 KiB": () => new Response(JSON.stringify({ keys: [first], pad: "x".repeat(300_000) })),
      "broken UTF-8": () => new Response(new Uint8Array([0x7b, 0xff, 0x7d])),
      "an error": () => Promise.reject(new TypeError("connection refused")),
    };
    for (const [what, answer] of Object.entries(GARBAGE))
      test(`treats an issuer that responds with ${what} as down`, async () => {
        const { issuer, keys, find, outcomes } = harness(shared);
        await find("k1");
        issuer.answer = answer;
        issuer.nowMs += 6 * MINUTE_MS;
        expect([await find("k1"), await find("k1"), keys.state()]).toEqual(["found", "found", "stale"]);
        expect(outcomes).toEqual([
          [true, 0],
          [false, 6 * MINUTE_MS],
        ]);
      });

    test("logs an alarm with a rising level, and logs the recovery", async () => {
      const { issuer, find, logged } = harness(shared);
      await find("k1");
      issuer.answer = DOWN;
      for (const minutes of [6, 6]) {
        issuer.nowMs += minutes * MINUTE_MS;
        await find("k1");
        await Bun.sleep(0);
      }
      issuer.answer = serves(first);
      issuer.nowMs += MINUTE_MS;
      await find("k1");
      await Bun.sleep(0);
      expect(logged.map(({ level, event }) => `${level} ${event}`)).toEqual([
        "warn issuer-keys.not-refreshed",
        "error issuer-keys.not-refreshed",
        "info issuer-keys.recovered",
      ]);
      expect(logged[1]!.fields).toMatchObject({ keysAgeSeconds: 720, keptSeconds: 86_400 });
    });

    test("tries again once a second while it has no keys at all", async () => {
      const { issuer, find } = harness(shared);
      issuer.answer = DOWN;
      for (let i = 0; i < 100; i++) {
        expect(await find("k1")).toBe("no keys");
        issuer.nowMs += 100;
      }
      expect(issuer.asked).toBe(10);
    });

    test("limits the time of every fetch", async () => {
      const { issuer, find } = harness(shared);
      await find("k1");
      expect(issuer.signals[0]).toBeInstanceOf(AbortSignal);
    });

    test("keeps the newer of two responses that arrive in the wrong order", async () => {
      const { issuer, find } = harness(false);
      await find("k1");
      const slow = Promise.withResolvers<Response>();
      issuer.nowMs += 6 * MINUTE_MS;
      issuer.answer = () => slow.promise;
      const older = find("k1");
      await Bun.sleep(0);
      issuer.answer = serves(second);
      expect(await find("k1")).toBe(UNKNOWN);
      slow.resolve(Response.json({ keys: [first] }));
      await older;
      expect([await find("k1"), await find("k2")]).toEqual([UNKNOWN, "found"]);
    });
  });

test("if I/O is shared, a hundred requests make one fetch", async () => {
  const { issuer, find } = harness();
  expect(new Set(await Promise.all(Array.from({ length: 100 }, () => find("k1"))))).toEqual(
    new Set(["found"]),
  );
  expect(issuer.asked).toBe(1);
});

test("if I/O is not shared, no request waits for the fetch of another request, and a burst is limited", async () => {
  const { issuer, find } = harness(false);
  issuer.answer = HANGS;
  for (let i = 0; i < 200; i++) void find("k1");
  await Bun.sleep(0);
  expect(issuer.asked).toBe(20);
  issuer.nowMs += 3001;
  issuer.answer = serves(first);
  expect(await find("k1")).toBe("found");
});

test("an issuer that hangs does not delay users whose keys are cached", async () => {
  const { issuer, find } = harness();
  await find("k1");
  issuer.answer = DOWN;
  issuer.nowMs += 6 * MINUTE_MS;
  await find("k1");
  issuer.answer = HANGS;
  issuer.nowMs += MINUTE_MS;
  const before = issuer.asked;
  expect(await Promise.race([find("k1"), Bun.sleep(500).then(() => "waits")])).toBe("found");
  expect(issuer.asked - before).toBe(1);
});

test("a readiness probe keeps the keys fresh before anyone signs in", async () => {
  const { issuer, keys, find } = harness();
  expect(keys.state()).toBe("unasked");
  await Bun.sleep(0);
  expect([issuer.asked, keys.state()]).toEqual([1, "fresh"]);
  issuer.answer = DOWN;
  expect(await find("k1")).toBe("found");
});

test("readKeySet() leaves out keys that are not for RS256, and private parts", async () => {
  const keys = readKeySet(JSON.stringify({ keys: [{ kty: "EC" }, { ...first, d: "AQAB" }, 7, second] }));
  expect(keys.jwks()?.keys.map(({ kid, d }) => [kid, d])).toEqual([
    ["k1", undefined],
    ["k2", undefined],
  ]);
});

describe("the app", () => {
  test("reports the state of the keys at /readyz/admin, and stays ready with stale keys", async () => {
    const world = await makeAdminApp();
    for (const state of ["fresh", "stale", "away"] as const) {
      world.deps.admin.keysState = () => state;
      const answer = await world.app.request("http://edge.test/readyz/admin");
      expect([answer.status, ((await answer.json()) as { signInKeys: string }).signInKeys]).toEqual([
        200,
        state,
      ]);
    }
  });
});
