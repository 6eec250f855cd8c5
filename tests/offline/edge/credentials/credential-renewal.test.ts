import { expect, test } from "bun:test";
import { createRenewingProvider } from "../../../../edge/credentials/renewing-provider.ts";
import { CredentialFault } from "../../../../edge/credentials/types.ts";
import { MINUTE_MS } from "../../../../shared/time/durations.ts";

/** Test setup: a credential provider with a fake source and a clock that the test controls. */
function harness(random = 0) {
  const state = {
    nowMs: 1_790_000_000_000,
    fetched: 0,
    lifeMs: 60 * MINUTE_MS,
    isDown: false,
    isSame: false,
  };
  const logged: { level: string; event: string }[] = [];
  let open: (() => void) | undefined;
  const provider = createRenewingProvider(
    {
      name: "test-source",
      async fetch() {
        state.fetched++;
        const { isDown, lifeMs } = state;
        const number = state.isSame ? 1 : state.fetched;
        if (open) await new Promise<void>((resolve) => (open = resolve));
        if (isDown) throw new CredentialFault("test-source is down");
        const expiresAtMs = state.isSame ? first!.expiresAtMs! : state.nowMs + lifeMs;
        return { accessKeyId: `key-${number}`, secretAccessKey: "s", sessionToken: "t", expiresAtMs };
      },
    },
    {
      clock: () => state.nowMs,
      random: () => random,
      log: (level, event) => void logged.push({ level, event }),
    },
  );
  let first: Awaited<ReturnType<typeof provider.get>> | undefined;
  return {
    state,
    provider,
    logged,
    async begin() {
      first = await provider.get();
      return first;
    },
    /** Blocks the source until the returned function is called. */
    hold() {
      open = () => {};
      return async () => {
        const release = open;
        open = undefined;
        release?.();
        await settled();
      };
    },
  };
}
/** Waits for background work to finish. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

test("a thousand requests at the start share one fetch", async () => {
  const { provider, state } = harness();
  const got = await Promise.all(Array.from({ length: 1000 }, () => provider.get()));
  expect(new Set(got.map(({ accessKeyId }) => accessKeyId))).toEqual(new Set(["key-1"]));
  expect(state.fetched).toBe(1);
});

test("credentials are renewed once, five minutes before they expire, and no request waits for that", async () => {
  const { provider, state, begin, hold } = harness();
  await begin();
  state.nowMs += 55 * MINUTE_MS - 1;
  await provider.get();
  expect(state.fetched).toBe(1);
  state.nowMs += 1;
  const answer = hold();
  const during = await Promise.all(Array.from({ length: 100 }, () => provider.get()));
  expect(new Set(during.map(({ accessKeyId }) => accessKeyId))).toEqual(new Set(["key-1"]));
  await answer();
  expect((await provider.get()).accessKeyId).toBe("key-2");
  expect(state.fetched).toBe(2);
});

test("jitter spreads the renewals of nodes over the last five minutes, and none is earlier", async () => {
  for (const [random, minutes] of [
    [0, 55],
    [0.5, 55.5],
    [0.999, 55.999],
  ] as const) {
    const { provider, state, begin } = harness(random);
    await begin();
    state.nowMs += minutes * MINUTE_MS - 100;
    await provider.get();
    expect(state.fetched).toBe(1);
    state.nowMs += 200;
    await provider.get();
    expect(state.fetched).toBe(2);
  }
});

test("credentials that are valid for six minutes are used for four minutes, not for one", async () => {
  const { provider, state, begin } = harness();
  state.lifeMs = 6 * MINUTE_MS;
  await begin();
  state.nowMs += 4 * MINUTE_MS - 1;
  await provider.get();
  expect(state.fetched).toBe(1);
  state.nowMs += 1;
  await provider.get();
  expect(state.fetched).toBe(2);
});

test("during an outage of the source, the old credentials are used until they expire; then requests fail, until the source recovers", async () => {
  const { provider, state, begin, logged } = harness();
  const old = await begin();
  state.isDown = true;
  for (let minute = 1; minute <= 59; minute++) {
    state.nowMs += MINUTE_MS;
    expect(await provider.get()).toBe(old);
    await settled();
  }
  expect(provider.problem()).toBe("not-renewed");
  expect(
    logged.filter(({ event }) => event === "credentials.not-renewed").every(({ level }) => level === "warn"),
  ).toBe(true);
  state.nowMs += MINUTE_MS;
  expect(await provider.get().catch((error) => error)).toBeInstanceOf(CredentialFault);
  expect(provider.problem()).toBe("away");
  expect(logged.at(-1)).toEqual({ level: "error", event: "credentials.not-renewed" });
  state.isDown = false;
  state.nowMs += 20_000;
  expect((await provider.get()).accessKeyId).toStartWith("key-");
  expect(provider.problem()).toBeUndefined();
});

test("a source that is down is not requested with every request, and is requested again within 15 s", async () => {
  const { provider, state } = harness();
  state.isDown = true;
  for (let second = 0; second < 120; second++) {
    for (let request = 0; request < 10; request++) await provider.get().catch(() => {});
    state.nowMs += 1000;
  }
  expect(state.fetched).toBeGreaterThanOrEqual(120 / 15);
  expect(state.fetched).toBeLessThan(20);
});

test("credentials that AWS rejects before they expire are fetched again, once for all rejected requests", async () => {
  const { provider, state, begin } = harness();
  const old = await begin();
  const newer = await Promise.all(
    Array.from({ length: 100 }, () => provider.replace(old, "ExpiredTokenException")),
  );
  expect(new Set(newer.map((one) => one?.accessKeyId))).toEqual(new Set(["key-2"]));
  expect(await provider.replace(old, "ExpiredTokenException")).toMatchObject({ accessKeyId: "key-2" });
  expect(state.fetched).toBe(2);
  expect(provider.problem()).toBeUndefined();
});

test("a source without newer credentials than the rejected ones is requested once in 5 s, and that is logged", async () => {
  const { provider, state, begin, logged } = harness();
  const old = await begin();
  state.isSame = true;
  for (let request = 0; request < 50; request++)
    expect(await provider.replace(old, "UnrecognizedClientException")).toBeUndefined();
  expect(state.fetched).toBe(2);
  expect(provider.problem()).toBe("refused");
  expect(logged.filter(({ event }) => event === "credentials.refused")).toHaveLength(1);
  state.nowMs += 5000;
  state.isSame = false;
  expect(await provider.replace(old, "UnrecognizedClientException")).toMatchObject({ accessKeyId: "key-3" });
  expect(provider.problem()).toBeUndefined();
});

test("a source that returns the same credentials near their expiry is requested every 30 s, not with every request", async () => {
  const { provider, state, begin } = harness();
  await begin();
  state.isSame = true;
  state.nowMs += 55 * MINUTE_MS;
  for (let second = 0; second < 60; second++) {
    await provider.get();
    await settled();
    state.nowMs += 1000;
  }
  expect(state.fetched).toBe(3);
});
