import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { makeEngine, makeHeartbeat } from "../../../../lz/platform/simulated-agents.ts";
import type { TenantItem } from "../../../../shared/table/items/tenant.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import { HOUR_MS } from "../../../../shared/time/durations.ts";
import type { Engine, Heartbeat } from "../../../../shared/wire/heartbeat.ts";
import type { Deps } from "../../../../worker/receive/deps.ts";
import { recordHeartbeat } from "../../../../worker/record/record-heartbeat.ts";
import { createMemoryDynamo, type MemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";
import {
  ASSET,
  contents,
  createWorkerDeps,
  deliver,
  makeTenant,
} from "../../../support/dynamo/worker-table.ts";

const TENANT = makeTenant({ quietPeriodSeconds: 600 });
const START_MS = Date.parse("2026-11-20T23:40:00.000Z"); // late enough for the run to pass midnight

/** States of an asset. Some have findings that appear, get worse and disappear. */
const STATES: Engine[][] = [
  [],
  [makeEngine()],
  [makeEngine({ bind: ["0.0.0.0"], auth: "unknown" })],
  [makeEngine({ bind: ["0.0.0.0"] })],
  [makeEngine({ id: "vllm", name: "vLLM", version: "0.20.0" })],
  [makeEngine({ id: "vllm", name: "vLLM", version: "0.8.1" }), makeEngine({ renamed: true })],
];
/** One more state. No host starts with it, so it is new when it appears. */
const NEW_STATE = STATES.push([makeEngine({ id: "jan", name: "Jan", bind: ["0.0.0.0"] })]) - 1;

type Step = { state: number; beats: number; gapSeconds: number };

/**
 * Heartbeats of an agent that reports correct start times of its states. Spool and client pids vary without a
 * change of state.
 */
function historyOf(steps: readonly Step[]): Heartbeat[] {
  const beats: Heartbeat[] = [];
  let nowMs = START_MS;
  let last = -1;
  let stateSince = "";
  for (const { state, beats: count, gapSeconds } of steps) {
    for (let i = 0; i < count; i++) {
      nowMs += gapSeconds * 1000 + 7;
      if (state !== last) stateSince = timestamp(nowMs);
      last = state;
      const sequence = beats.length + 1;
      const engines = STATES[state]!.map((engine) => ({
        ...engine,
        clients: [{ name: "code", pid: 9000 + sequence, connections: sequence % 3 }],
      }));
      const spool = { waiting: sequence % 4, dropped: 0 };
      beats.push(makeHeartbeat(sequence, nowMs, "host-1", { stateSince, engines, spool }));
    }
  }
  return beats;
}

async function inOrder(beats: readonly Heartbeat[]): Promise<MemoryDynamo> {
  const table = createMemoryDynamo();
  const worker = createWorkerDeps(table, TENANT);
  for (const beat of beats) await recordHeartbeat(deliver(beat), TENANT, worker);
  return table;
}

const steps = fc.array(
  fc.record({
    state: fc.nat({ max: NEW_STATE - 1 }),
    beats: fc.integer({ min: 1, max: 4 }),
    gapSeconds: fc.constantFrom(5, 20, 61, 400, 900),
  }),
  { minLength: 1, maxLength: 7 },
);
/** Histories that last at least ten days, so that the baseline has passed its learning phase. */
const tenDays = fc
  .array(
    fc.record({
      state: fc.nat({ max: NEW_STATE - 1 }),
      beats: fc.integer({ min: 1, max: 3 }),
      gapSeconds: fc.constantFrom(61, 900, 5 * 3600, 20 * 3600),
    }),
    { minLength: 4, maxLength: 10 },
  )
  .map((made) => [
    ...made,
    { state: 4, beats: 11, gapSeconds: 24 * 3600 },
    { state: NEW_STATE, beats: 4, gapSeconds: 17 * 3600 },
  ]);
/** An order of deliveries that contains duplicates, as if a delivery had failed and been repeated. */
const shuffled = (count: number) =>
  fc.tuple(
    fc.shuffledSubarray(
      Array.from({ length: count }, (_, i) => i),
      { minLength: count },
    ),
    fc.array(fc.nat({ max: count - 1 }), { maxLength: 6 }),
  );

const HOSTS = [ASSET, "01K00000000000000000000001"];
/**
 * Delays in hours of heartbeats in the host's spool. A heartbeat with a delay of up to twelve hours changes
 * the baseline.
 */
const DELAYS_HOURS = [0, 0, 0, 5, 12, 13, 100];

const RUNS = 50;
const TEN_DAYS_RUNS = 40;
const TIMEOUT_MS = 60_000;

describe("recordHeartbeat() results in the same table", () => {
  test(
    "in any order and with duplicates, during the learning phase",
    async () => {
      const cases = steps.chain((made) => {
        const beats = historyOf(made);
        return fc.tuple(fc.constant(beats), shuffled(beats.length));
      });
      await fc.assert(
        fc.asyncProperty(cases, async ([beats, [order, again]]) => {
          const table = createMemoryDynamo();
          const worker = createWorkerDeps(table, TENANT);
          for (const index of [...order, ...again])
            await recordHeartbeat(deliver(beats[index]!), TENANT, worker);
          expect(contents(table)).toEqual(contents(await inOrder(beats)));
        }),
        { numRuns: RUNS },
      );
    },
    TIMEOUT_MS,
  );

  test(
    "over ten days in any order, except the results of the baseline",
    async () => {
      // The baseline rule is disabled, so only `novelty` on the items shows results of the baseline.
      const policy = { ...TENANT.policy, disabledRules: ["baseline-novelty"] };
      const tenant = { ...TENANT, policy };
      const cases = tenDays.chain((made) => {
        const beats = historyOf(made);
        return fc.tuple(fc.constant(beats), shuffled(beats.length));
      });
      await fc.assert(
        fc.asyncProperty(cases, async ([beats, [order, again]]) => {
          const told = await tableOf(
            [...order, ...again].map((index) => beats[index]!),
            tenant,
          );
          expect(withoutNovelty(told)).toEqual(withoutNovelty(await tableOf(beats, tenant)));
        }),
        { numRuns: TEN_DAYS_RUNS },
      );
    },
    TIMEOUT_MS,
  );

  test(
    "over ten days with the baseline, for any spool delay and any order within half a day",
    async () => {
      let learnt = 0;
      const cases = fc.tuple(tenDays, tenDays).chain((made) => {
        const sent = made.flatMap((steps, host) =>
          historyOf(steps).map((beat) => ({ beat, assetId: HOSTS[host]! })),
        );
        return fc.tuple(
          fc.constant(sent),
          fc.array(fc.constantFrom(...DELAYS_HOURS), { minLength: sent.length, maxLength: sent.length }),
          fc.array(fc.double({ min: 0, max: 11.9, noNaN: true }), {
            minLength: sent.length,
            maxLength: sent.length,
          }),
          fc.array(fc.nat({ max: sent.length - 1 }), { maxLength: 6 }),
        );
      });
      await fc.assert(
        fc.asyncProperty(cases, async ([sent, delays, waits, again]) => {
          const told = sent.map(({ beat, assetId }, i) => {
            const receivedMs = Date.parse(beat.sentAt) + delays[i]! * HOUR_MS;
            const delivery = deliver(beat, assetId, timestamp(receivedMs));
            return { delivery, sentAt: beat.sentAt, deliveredMs: receivedMs + waits[i]! * HOUR_MS };
          });
          const bySending = [...told].sort((a, b) => (a.sentAt < b.sentAt ? -1 : 1));
          const byDelivery = [...told].sort((a, b) => a.deliveredMs - b.deliveredMs);
          const table = createMemoryDynamo();
          const workers = [createWorkerDeps(table, TENANT), createWorkerDeps(table, TENANT)];
          for (const [i, { delivery }] of [...byDelivery, ...again.map((i) => told[i]!)].entries())
            await recordHeartbeat(delivery, TENANT, workers[i % 2]!);
          const right = createMemoryDynamo();
          const worker = createWorkerDeps(right, TENANT);
          for (const { delivery } of bySending) await recordHeartbeat(delivery, TENANT, worker);
          expect(contents(table)).toEqual(contents(right));
          if (JSON.stringify(contents(right)).includes('"baseline-novelty"')) learnt++;
        }),
        { numRuns: TEN_DAYS_RUNS },
      );
      expect(learnt).toBe(TEN_DAYS_RUNS);
    },
    TIMEOUT_MS,
  );

  test(
    "with two concurrent workers and any interleaving of their writes",
    async () => {
      const cases = steps.chain((made) => {
        const beats = historyOf(made);
        return fc.tuple(fc.constant(beats), shuffled(beats.length), fc.infiniteStream(fc.boolean()));
      });
      await fc.assert(
        fc.asyncProperty(cases, async ([beats, [order, again], coins]) => {
          const scheduler = createScheduler(() => coins.next().value!);
          const table = createMemoryDynamo();
          const workers = [0, 1].map((number) =>
            createWorkerDeps({ ...table, dynamo: scheduler.through(table.dynamo, number) }, TENANT),
          );
          const all = [...order, ...again];
          const shares = [all.filter((_, i) => i % 2 === 0), all.filter((_, i) => i % 2 === 1)];
          await scheduler.run(
            workers.map(
              (worker, number) => () =>
                recordAll(
                  shares[number]!.map((i) => beats[i]!),
                  worker,
                ),
            ),
          );
          expect(contents(table)).toEqual(contents(await inOrder(beats)));
        }),
        { numRuns: RUNS },
      );
    },
    TIMEOUT_MS,
  );

  test(
    "when a worker crashes after any write and another gets the heartbeat",
    async () => {
      const cases = steps.chain((made) => {
        const beats = historyOf(made);
        return fc.tuple(fc.constant(beats), fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 4 }));
      });
      await fc.assert(
        fc.asyncProperty(cases, async ([beats, deaths]) => {
          const table = createMemoryDynamo();
          for (const dies of deaths) {
            let left = dies;
            const dynamo: Deps["dynamo"] = async (operation, input) => {
              if (left-- <= 0) throw new Error("the worker is dead");
              return table.dynamo(operation, input);
            };
            const worker = createWorkerDeps({ ...table, dynamo }, TENANT);
            await recordAll(beats, worker).catch(() => {});
          }
          await recordAll(beats, createWorkerDeps(table, TENANT));
          expect(contents(table)).toEqual(contents(await inOrder(beats)));
        }),
        { numRuns: RUNS },
      );
    },
    TIMEOUT_MS,
  );
});

/** Versions of a policy that assess the states above differently. Each version disables another rule. */
const EDITIONS = ["exposed-engine", "unapproved-engine", "baseline-novelty"].map((rule, number) => {
  const policy = { ...TENANT.policy, approvedModels: [`edition-${number}`], disabledRules: [rule] };
  return { ...TENANT, policy };
});

describe("recordHeartbeat() while the policy is edited between deliveries", () => {
  test(
    "accepts every heartbeat in any order, keeps presence at the newest state, and ends with the last version",
    async () => {
      const cases = steps.chain((made) => {
        const beats = historyOf(made);
        const edition = fc.nat({ max: EDITIONS.length - 1 });
        return fc.tuple(
          fc.constant(beats),
          shuffled(beats.length),
          fc.array(edition, { minLength: beats.length + 6, maxLength: beats.length + 6 }),
          edition,
          fc.constantFrom(0, 60, 3600),
        );
      });
      await fc.assert(
        fc.asyncProperty(cases, async ([beats, [order, again], editions, last, resolution]) => {
          const table = createMemoryDynamo();
          const workers = [createWorkerDeps(table, TENANT), createWorkerDeps(table, TENANT)];
          const under = (edition: number) => ({
            ...EDITIONS[edition]!,
            telemetryResolutionSeconds: resolution,
          });
          for (const [i, index] of [...order, ...again].entries()) {
            await recordHeartbeat(deliver(beats[index]!), under(editions[i]!), workers[i % 2]!);
            expectPresenceAtNewestState(table);
          }
          const newest = beats.at(-1)!;
          const next = { ...newest, sequence: newest.sequence + 1 };
          const nextBeat = { ...next, sentAt: timestamp(Date.parse(newest.sentAt) + 2 * HOUR_MS) };
          await recordHeartbeat(deliver(nextBeat), under(last), workers[0]!);
          const settled = contents(table);
          expectPresenceAtNewestState(table);
          const fresh = createMemoryDynamo();
          await recordHeartbeat(deliver(nextBeat), under(last), createWorkerDeps(fresh, TENANT));
          expect(assessmentOf(table)).toEqual(assessmentOf(fresh));
          await recordHeartbeat(deliver(nextBeat), under(last), workers[1]!);
          expect(contents(table)).toEqual(settled);
        }),
        { numRuns: RUNS },
      );
    },
    TIMEOUT_MS,
  );
});

const itemsOf = (table: MemoryDynamo): Record<string, unknown>[] =>
  Object.values(contents(table)) as Record<string, unknown>[];

/** Risk, score and the conditions that presence lists as present. */
function assessmentOf(table: MemoryDynamo) {
  const { risk, score, openIncidents } = itemsOf(table).find(({ type }) => type === "Presence")!;
  const open = openIncidents as { rule: string; engine: string; absentSince?: string }[];
  const present = open.filter(({ absentSince }) => absentSince === undefined);
  return { risk, score, present: present.map(({ rule, engine }) => `${rule} ${engine}`).sort() };
}

function expectPresenceAtNewestState(table: MemoryDynamo): void {
  const all = itemsOf(table);
  const presence = all.find(({ type }) => type === "Presence")!;
  const changes = all.filter(({ kind }) => kind === "change").sort((a, b) => (a.at! < b.at! ? -1 : 1));
  const newest = changes.at(-1)!;
  expect(presence.stateAt).toBe(newest.at);
  const findings = newest.findings as { rule: string; engine: string }[];
  const { risk, score, present } = assessmentOf(table);
  expect({ risk, score }).toEqual({ risk: newest.risk, score: newest.score });
  expect(present).toEqual(findings.map(({ rule, engine }) => `${rule} ${engine}`).sort());
  const open = presence.openIncidents as { rule: string; engine: string }[];
  const stored = all.filter(({ type, status }) => type === "Incident" && status === "OPEN");
  const names = (list: Record<string, unknown>[]) =>
    list.map(({ rule, engine }) => `${rule} ${engine}`).sort();
  expect(names(open)).toEqual(names(stored));
}

async function tableOf(beats: readonly Heartbeat[], tenant: TenantItem): Promise<MemoryDynamo> {
  const table = createMemoryDynamo();
  const worker = createWorkerDeps(table, tenant);
  for (const beat of beats) await recordHeartbeat(deliver(beat), tenant, worker);
  return table;
}

const withoutNovelty = (table: MemoryDynamo): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(contents(table)).map(([key, item]) => [key, { ...(item as object), novelty: undefined }]),
  );

async function recordAll(beats: readonly Heartbeat[], worker: Deps): Promise<void> {
  for (const beat of beats) await recordHeartbeat(deliver(beat), TENANT, worker);
}

/** Scheduler that allows one table operation of one worker at a time. `coin` decides which worker continues. */
function createScheduler(coin: () => boolean) {
  type Waiting = { number: number; go: () => void };
  let waiting: Waiting[] = [];
  let running = 0;
  const step = () => {
    if (waiting.length < running || waiting.length === 0) return;
    const next = waiting[waiting.length > 1 && coin() ? 1 : 0]!;
    waiting = waiting.filter((one) => one !== next);
    next.go();
  };
  return {
    through(dynamo: Deps["dynamo"], number: number): Deps["dynamo"] {
      return async (operation, input) => {
        await new Promise<void>((go) => {
          waiting.push({ number, go });
          waiting.sort((a, b) => a.number - b.number);
          setImmediate(step);
        });
        return dynamo(operation, input);
      };
    },
    async run(works: readonly (() => Promise<void>)[]): Promise<void> {
      running = works.length;
      await Promise.all(
        works.map(async (work) => {
          await work();
          running--;
          setImmediate(step);
        }),
      );
    },
  };
}
