import { describe, expect, test } from "bun:test";
import { type Dynamo, DynamoFault } from "../../../../shared/table/dynamo.ts";
import { createMetrics } from "../../../../worker/platform/metrics.ts";
import { createTableBreaker } from "../../../../worker/platform/table-breaker.ts";
import { isOutage, isTransient } from "../../../../worker/platform/transient-error.ts";

/**
 * Test setup: a table that fails with `fault`, and a breaker in front of it. The breaker's waits take no real
 * time.
 */
async function createWorld({ isAwayAtStart = false } = {}) {
  const stop = new AbortController();
  const metrics = createMetrics();
  const events: string[] = [];
  const waits: number[] = [];
  const world = {
    fault: undefined as string | undefined,
    slow: undefined as Promise<void> | undefined,
    writeFault: undefined as string | undefined,
    slowWrite: undefined as Promise<void> | undefined,
    calls: 0,
    probes: 0,
  };
  if (isAwayAtStart) world.fault = "Unreachable";
  const dynamo = (async (operation: string, input: { Key?: unknown }) => {
    world.calls++;
    const { fault, slow } = world;
    if (input.Key) await slow;
    if (fault !== undefined) throw new DynamoFault(fault);
    const { writeFault, slowWrite } = world;
    if (operation === "GetItem") return {};
    await slowWrite;
    if (writeFault !== undefined) throw new DynamoFault(writeFault);
    return {};
  }) as unknown as Dynamo;
  let goOn = Promise.withResolvers<void>();
  const breaker = createTableBreaker(dynamo, {
    table: "t",
    random: () => 0.5,
    sleep: async (ms) => {
      waits.push(ms);
      await goOn.promise;
    },
    stop: stop.signal,
    log: (_level, event) => void events.push(event),
    metrics,
    onProbe: () => void world.probes++,
  });
  const turn = () => Bun.sleep(2);
  await turn();
  const probeAgain = async () => {
    goOn.resolve();
    goOn = Promise.withResolvers();
    await turn();
  };
  const call = () => breaker.dynamo("PutItem", { TableName: "t", Item: {} }).catch(({ code }) => code);
  return { ...world, world, breaker, stop, metrics, events, waits, turn, probeAgain, call };
}

describe("createTableBreaker()", () => {
  test("a worker that starts during an outage waits until a probe succeeds", async () => {
    const { world, breaker, stop, probeAgain, waits } = await createWorld({ isAwayAtStart: true });
    let isReady = false;
    void breaker.whenAvailable(stop.signal).then(() => (isReady = true));
    await probeAgain();
    expect([isReady, breaker.isAvailable()]).toEqual([false, false]);
    world.fault = undefined;
    await probeAgain();
    expect([isReady, breaker.isAvailable()]).toEqual([true, true]);
    expect(waits).toEqual([250, 500]);
  });

  test("opens at the first failed call, sends only probes while open, and closes when a probe succeeds", async () => {
    const { world, breaker, call, probeAgain, events, metrics } = await createWorld();
    world.fault = "Unreachable";
    expect(await call()).toBe("Unreachable");
    expect(metrics.read().table_away).toBe(1);
    const before = world.calls;
    expect(await call()).toBe("CircuitOpen");
    expect(world.calls).toBe(before);
    for (let i = 0; i < 10; i++) await probeAgain();
    expect(breaker.isAvailable()).toBe(false);
    world.fault = undefined;
    await probeAgain();
    expect(await call()).toEqual({});
    expect(events).toEqual(["table.away", "table.back"]);
    expect(metrics.read()).toMatchObject({ table_away: 0, table_outages_total: 1 });
  });

  test("increases the pause between probes up to five seconds", async () => {
    const { world, call, probeAgain, waits } = await createWorld();
    world.fault = "InternalServerError";
    await call();
    for (let i = 0; i < 8; i++) await probeAgain();
    expect(waits.slice(0, 6)).toEqual([250, 500, 1000, 2000, 4000, 5000]);
  });

  test("stays closed when other calls succeed, and for throttling and failed conditions", async () => {
    const { world, breaker, call } = await createWorld();
    const failing = Promise.withResolvers<void>();
    world.fault = "Unreachable";
    world.slow = failing.promise;
    const slow = breaker.dynamo("GetItem", { TableName: "t", Key: {} }).catch(({ code }) => code);
    world.fault = undefined;
    expect(await call()).toEqual({});
    failing.resolve();
    expect(await slow).toBe("Unreachable");
    expect(breaker.isAvailable()).toBe(true);
    for (const code of ["ProvisionedThroughputExceededException", "ConditionalCheckFailedException"]) {
      world.fault = code;
      expect(await call()).toBe(code);
      expect(breaker.isAvailable()).toBe(true);
    }
  });

  test("a table that refuses writes is unavailable until a write probe succeeds", async () => {
    const { world, breaker, call, probeAgain, waits } = await createWorld();
    const read = () => breaker.dynamo("GetItem", { TableName: "t", Key: {} }).catch(({ code }) => code);
    world.writeFault = "InternalServerError";
    const failing = Promise.withResolvers<void>();
    world.slowWrite = failing.promise;
    const write = call();
    expect(await read()).toEqual({});
    failing.resolve();
    expect(await write).toBe("InternalServerError");
    expect(breaker.isAvailable()).toBe(false);
    for (let i = 0; i < 5; i++) await probeAgain();
    expect([breaker.isAvailable(), await read()]).toEqual([false, "CircuitOpen"]);
    expect(waits.slice(0, 4)).toEqual([250, 500, 1000, 2000]);
    world.writeFault = "ConditionalCheckFailedException";
    await probeAgain();
    expect(breaker.isAvailable()).toBe(true);
  });

  test("stops waiting when the signal aborts", async () => {
    const { breaker, stop } = await createWorld({ isAwayAtStart: true });
    const waiting = breaker.whenAvailable(stop.signal);
    stop.abort();
    await waiting;
    expect(breaker.isAvailable()).toBe(false);
  });
});

test("an error is transient if a retry can succeed, and an outage if no call can", () => {
  const kinds = (code: string) => [isTransient(new DynamoFault(code)), isOutage(new DynamoFault(code))];
  for (const code of ["Unreachable", "500", "InternalServerError", "ServiceUnavailable", "CircuitOpen"])
    expect(kinds(code)).toEqual([true, true]);
  for (const code of ["AccessDeniedException", "ResourceNotFoundException", "ExpiredTokenException"])
    expect(kinds(code)).toEqual([true, true]);
  for (const code of ["ThrottlingException", "TransactionInProgressException"])
    expect(kinds(code)).toEqual([true, false]);
  for (const code of ["ValidationException", "TransactionCanceledException"])
    expect(kinds(code)).toEqual([false, false]);
  expect(isTransient(new Error("a presence that does not parse"))).toBe(false);
});
