import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createDirectiveHandler, type DirectiveHandler } from "../../../../agent/contain/apply-directive.ts";
import type { Enforcer, Order, Proof } from "../../../../agent/contain/modes/enforcer.ts";
import { observeEnforcer } from "../../../../agent/contain/modes/observe.ts";
import { unsupportedEnforcer } from "../../../../agent/contain/platform/unsupported.ts";
import { uncontained } from "../../../../agent/report/compose-heartbeat.ts";
import { type Directive, signDirective } from "../../../../shared/wire/directive.ts";
import type { Hardware } from "../../../../shared/wire/hardware.ts";
import { containmentReport, MODES, type Mode } from "../../../../shared/wire/heartbeat.ts";
import { controlClock } from "../../../support/agent/control-clock.ts";
import {
  ASSET,
  controlKeys,
  directiveClaims,
  removeTemporaryDirectories,
  TENANT,
  temporaryDirectory,
  until,
} from "../report/send-edge.ts";

const signal = new AbortController().signal;
let keys: Awaited<ReturnType<typeof controlKeys>>;
let directory: string;
let done: string[];
let reports: number;
/** Number of `onRepair` calls. This callback starts more frequent checks. */
let alarms: number;
let said: string[];
let proof: Proof;

const APPLIED: Proof = {
  outcome: "applied",
  probes: { controlPlaneReachable: true, forbiddenBlocked: true },
};

function recorder(mode: Mode): Enforcer {
  const record = (verb: string) => async (order: Order) => {
    done.push(`${verb} ${mode} ${order.generation}${order.isQuick ? " quick" : ""}`);
    return proof;
  };
  return { apply: record("apply"), release: record("release"), reassert: record("reassert") };
}

const recorders = (): Record<Mode, Enforcer> =>
  Object.fromEntries(MODES.map((mode) => [mode, recorder(mode)])) as Record<Mode, Enforcer>;

const open = (
  enforcers = recorders(),
  clock: () => number = Date.now,
  elapsed: () => number = () => performance.now(),
  since: () => number = clock,
): DirectiveHandler =>
  createDirectiveHandler({
    directory,
    self: () => ({ tenantId: TENANT, assetId: ASSET, jwks: keys.jwks }),
    enforcers,
    clock,
    since,
    elapsed,
    log: (level, event, fields) =>
      said.push(
        [level, event, fields?.action, fields?.reason ?? ""].filter((part) => part !== undefined).join(" "),
      ),
    onReport: () => {
      reports += 1;
    },
    onRepair: () => {
      alarms += 1;
    },
  });

const sign = (claims: Partial<Directive>, control = keys.control): Promise<string> =>
  signDirective(control, { ...directiveClaims(), ...claims });

beforeEach(async () => {
  keys = await controlKeys();
  directory = temporaryDirectory();
  done = [];
  said = [];
  reports = 0;
  alarms = 0;
  proof = APPLIED;
});
afterEach(removeTemporaryDirectories);

describe("createDirectiveHandler()", () => {
  test("applies a valid directive, reports the proof immediately, and remembers the proof after a restart", async () => {
    const handler = open();
    expect(handler.report()).toMatchObject({ generation: 0, action: "none", outcome: "none" });
    await handler.handle(await sign({ generation: 3, mode: "network" }), signal);
    expect(done).toEqual(["apply network 3"]);
    expect(reports).toBe(1);
    const report = {
      generation: 3,
      action: "isolate",
      mode: "network",
      outcome: "applied",
      probes: APPLIED.probes,
    };
    expect(handler.report()).toMatchObject(report);
    expect(containmentReport.safeParse(handler.report()).success).toBe(true);
    expect(open().report()).toEqual(handler.report());
  });

  test("logs an applied directive as info, and a failed one as an error with its reason", async () => {
    await open().handle(await sign({ generation: 3, mode: "network" }), signal);
    expect(said).toContain("info directive.applied isolate ");
    said = [];
    proof = { outcome: "failed", reason: "nft is not installed" };
    await open().handle(await sign({ generation: 4, mode: "network" }), signal);
    expect(said).toContain("error directive.failed isolate nft is not installed");
  });

  test("releases by the method of a failed stop of engines, even after a restart", async () => {
    const seen: (string | undefined)[] = [];
    const note = (verb: string) => async (order: Order) => {
      seen.push(`${verb} ${order.stopEnginesBy}`);
      return proof;
    };
    const enforcers = {
      ...recorders(),
      "stop-engines": { apply: note("apply"), release: note("release"), reassert: note("reassert") },
    };
    proof = { outcome: "failed", reason: "a process did not stop" };
    const how = { mode: "stop-engines", stopEnginesBy: "terminate" } as const;
    await open(enforcers).handle(await sign({ generation: 3, ...how }), signal);
    proof = APPLIED;
    await open(enforcers).handle(
      await sign({ generation: 4, action: "release", mode: "stop-engines" }),
      signal,
    );
    expect(seen).toEqual(["apply terminate", "release terminate"]);
  });

  test("passes the method of stopping engines to the enforcer and reports it, even after a restart and for a release", async () => {
    const seen: (string | undefined)[] = [];
    const told: string[] = [];
    const note = (verb: string) => async (order: Order) => {
      seen.push(`${verb} ${order.stopEnginesBy}`);
      return proof;
    };
    const enforcers = {
      ...recorders(),
      "stop-engines": { apply: note("apply"), release: note("release"), reassert: note("reassert") },
    };
    const start = () =>
      createDirectiveHandler({
        directory,
        self: () => ({ tenantId: TENANT, assetId: ASSET, jwks: keys.jwks }),
        enforcers,
        clock: Date.now,
        since: Date.now,
        elapsed: () => performance.now(),
        log: () => {},
        onReport: () => {
          reports += 1;
        },
        notifyUsers: async (words) => void told.push(words),
      });
    const claims = { generation: 3, mode: "stop-engines", stopEnginesBy: "terminate" } as const;
    proof = { ...APPLIED, reason: "2 processes were terminated" };
    const handler = start();
    await handler.handle(await sign(claims), signal);
    expect(handler.report()).toMatchObject({ stopEnginesBy: "terminate", reason: proof.reason! });
    expect(containmentReport.safeParse(handler.report()).success).toBe(true);

    const restarted = start();
    proof = APPLIED;
    await restarted.resume(signal);
    expect([restarted.report().stopEnginesBy, reports]).toEqual(["terminate", 2]);
    expect(restarted.report()).toEqual({ ...handler.report(), at: restarted.report().at });
    proof = { ...APPLIED, reason: "they come back" };
    for (let round = 0; round < 3; round++) await restarted.reassert(signal);
    expect([restarted.report().reason, reports]).toEqual(["they come back", 3]);

    await restarted.handle(await sign({ generation: 4, action: "release", mode: "stop-engines" }), signal);
    expect(restarted.report().stopEnginesBy).toBeUndefined();
    expect([...new Set(seen)]).toEqual(["apply terminate", "reassert terminate", "release terminate"]);
    expect(told.map((words) => words.includes("again"))).toEqual([false, true]);

    await restarted.handle(await sign({ generation: 5, mode: "stop-engines" }), signal);
    expect([seen.at(-1), restarted.report().stopEnginesBy]).toEqual(["apply undefined", undefined]);
  });

  const iat = Math.floor(Date.now() / 1000);
  test.each([
    ["of another asset", { asset: "01JD8Z0000000000000000XXXX" }],
    ["of another tenant", { tenant: "org_other" }],
    ["that has expired", { iat: iat - 7200, exp: iat - 1 }],
    ["of generation 0", { generation: 0 }],
  ])("refuses a directive %s", async (_what, claims) => {
    const handler = open();
    await handler.handle(await sign({ generation: 5, ...claims }), signal);
    expect(done).toEqual([]);
    expect(handler.report().generation).toBe(0);
    expect(said[0]).toStartWith("warn directive.refused");
  });

  test("accepts a directive a minute before its expiry and refuses it a minute later", async () => {
    const jws = await sign({ generation: 5, iat, exp: iat + 60 });
    await open(recorders(), () => (iat + 61) * 1000).handle(jws, signal);
    expect(done).toEqual([]);
    await open(recorders(), () => (iat + 59) * 1000).handle(jws, signal);
    expect(done).toEqual(["apply network 5".replace("network", "observe")]);
  });

  test("refuses a directive that is signed by a key that is not pinned, even with the id of a pinned key", async () => {
    const stranger = await controlKeys();
    await open().handle(await sign({ generation: 5 }, stranger.control), signal);
    expect(done).toEqual([]);
  });

  test("refuses a directive with changed claims, and a token that is not a directive", async () => {
    const [head, , signature] = (await sign({ generation: 5 })).split(".");
    const claims = Buffer.from(JSON.stringify({ ...directiveClaims(), iss: "lifecyclezero", generation: 9 }));
    for (const jws of [
      `${head}.${claims.toString("base64url")}.${signature}`,
      "",
      "a.b.c",
      "x".repeat(4096),
    ]) {
      await open().handle(jws, signal);
    }
    expect(done).toEqual([]);
  });

  test("ignores a directive of an older or equal generation", async () => {
    const handler = open();
    await handler.handle(await sign({ generation: 5, mode: "network" }), signal);
    await handler.handle(await sign({ generation: 4, action: "release" }), signal);
    await handler.handle(await sign({ generation: 5, action: "release" }), signal);
    await open().handle(await sign({ generation: 5, action: "release" }), signal);
    expect(done).toEqual(["apply network 5"]);
  });

  test("verifies a directive only once if it is repeated", async () => {
    const handler = open();
    const jws = await sign({ generation: 1 });
    await Promise.all([1, 2, 3].map(() => handler.handle(jws, signal)));
    expect(done).toEqual(["apply observe 1"]);
    expect(reports).toBe(1);
  });

  test("applies a directive that it refused earlier once the clock is corrected or the key is pinned", async () => {
    let nowMs = Date.now() + 60 * 24 * 3600_000;
    const late = open(recorders(), () => nowMs);
    const jws = await sign({ generation: 1, mode: "network" });
    for (let round = 0; round < 3; round++) await late.handle(jws, signal);
    expect([done, said.length]).toEqual([[], 1]);
    nowMs = Date.now();
    await late.handle(jws, signal);
    expect(done).toEqual(["apply network 1"]);

    const rotated = await controlKeys();
    const handler = open();
    const byNewKey = await sign({ generation: 2, action: "release" }, rotated.control);
    await handler.handle(byNewKey, signal);
    expect(done).toHaveLength(1);
    keys = rotated;
    await handler.handle(byNewKey, signal);
    expect(done).toEqual(["apply network 1", "release network 2"]);
  });

  test("releases the mode in force, even if the release names another mode", async () => {
    const handler = open();
    await handler.handle(await sign({ generation: 1, mode: "network" }), signal);
    await handler.handle(await sign({ generation: 2, mode: "observe", action: "release" }), signal);
    expect(done).toEqual(["apply network 1", "release network 2"]);
    expect(handler.report()).toMatchObject({ generation: 2, action: "release", outcome: "applied" });
  });

  test("reports a failed release if the old mode could not be reverted", async () => {
    const handler = open();
    await handler.handle(await sign({ generation: 1, mode: "network" }), signal);
    proof = { outcome: "failed", reason: "nft said no" };
    await handler.handle(await sign({ generation: 2, mode: "observe", action: "release" }), signal);
    expect(handler.report()).toMatchObject({ generation: 2, outcome: "failed", reason: "nft said no" });
    expect(done).toEqual(["apply network 1", "release network 2"]);
    // The next attempt releases the mode that was applied, even after a restart of the agent.
    proof = APPLIED;
    const again = open();
    await again.handle(await sign({ generation: 3, mode: "observe", action: "release" }), signal);
    expect(done.at(-1)).toBe("release network 3");
    expect(again.report()).toMatchObject({ generation: 3, outcome: "applied" });
  });

  test("releases the old mode before it applies a new one", async () => {
    const handler = open();
    await handler.handle(await sign({ generation: 1, mode: "network" }), signal);
    await handler.handle(await sign({ generation: 2, mode: "stop-engines" }), signal);
    expect(done).toEqual(["apply network 1", "release network 2", "apply stop-engines 2"]);
  });

  test("completes a release after a crash, for the mode that was in force", async () => {
    await open().handle(await sign({ generation: 1, mode: "network" }), signal);
    const hanging = recorders();
    hanging.network = { ...hanging.network, release: () => new Promise(() => {}) };
    void open(hanging).handle(await sign({ generation: 2, mode: "observe", action: "release" }), signal);
    await until("it is underway", () =>
      readFileSync(join(directory, "containment.json"), "utf8").includes('"underway":true'),
    );
    const handler = open();
    await handler.resume(signal);
    expect(done).toEqual(["apply network 1", "release network 2"]);
    expect(handler.report()).toMatchObject({ generation: 2, action: "release", outcome: "applied" });
  });

  test("reports a failure with its reason, even if the enforcer throws, and applies the next directive", async () => {
    const enforcers = recorders();
    enforcers.network = { ...enforcers.network, apply: async () => Promise.reject(new Error("boom\u0007")) };
    const handler = open(enforcers);
    await handler.handle(await sign({ generation: 1, mode: "network" }), signal);
    expect(handler.report()).toMatchObject({ outcome: "failed", reason: "boom\ufffd" });
    expect(containmentReport.safeParse(handler.report()).success).toBe(true);
    await handler.handle(await sign({ generation: 2 }), signal);
    expect(handler.report()).toMatchObject({ generation: 2, outcome: "applied" });
  });

  test("a failed check makes the proof fail with a reason", async () => {
    const handler = open();
    await handler.handle(await sign({ generation: 1, mode: "stop-engines" }), signal);
    const broken: Enforcer = {
      ...recorder("stop-engines"),
      reassert: async () => {
        throw new Error("no space left on device");
      },
    };
    const guarded = open({ ...recorders(), "stop-engines": broken });
    reports = 0;
    for (let round = 0; round < 3; round++) await guarded.reassert(signal);
    expect(guarded.report()).toMatchObject({
      generation: 1,
      action: "isolate",
      outcome: "failed",
      reason: "no space left on device",
    });
    expect([reports, containmentReport.safeParse(guarded.report()).success]).toEqual([1, true]);
    const mended = open();
    await mended.reassert(signal);
    expect(mended.report()).toMatchObject({ outcome: "applied", probes: APPLIED.probes });
  });

  test("completes an interrupted directive after a restart", async () => {
    const hanging = recorders();
    hanging.network = { ...hanging.network, apply: () => new Promise(() => {}) };
    void open(hanging).handle(await sign({ generation: 7, mode: "network" }), signal);
    const path = join(directory, "containment.json");
    for (let i = 0; i < 100 && !(await Bun.file(path).exists()); i++) await Bun.sleep(5);
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({
      underway: true,
      report: { outcome: "none" },
    });
    const handler = open();
    await handler.resume(signal);
    expect(done).toEqual(["apply network 7"]);
    expect(handler.report()).toMatchObject({ generation: 7, outcome: "applied" });
  });

  test("restores and proves an isolation after a restart, and then reports only changes", async () => {
    await open().handle(await sign({ generation: 1, mode: "network" }), signal);
    reports = 0;
    const handler = open();
    const before = handler.report();
    await handler.resume(signal);
    const after = handler.report();
    expect(after.at > before.at).toBe(true);
    expect(after).toEqual({ ...before, at: after.at });
    await handler.reassert(signal);
    expect(done.slice(1)).toEqual(["reassert network 1", "reassert network 1"]);
    expect([reports, handler.report()]).toEqual([1, after]);
    reports = 0;
    proof = { outcome: "failed", reason: "table gone and nft missing" };
    await handler.reassert(signal);
    expect(reports).toBe(1);
    expect(handler.report()).toMatchObject({ generation: 1, outcome: "failed" });
  });

  test("dates the report before the first directive with the corrected clock", async () => {
    let nowMs = Date.parse("1970-01-01T00:00:05.000Z");
    let elapsedMs = 5000;
    const clock = controlClock(
      () => nowMs,
      () => elapsedMs,
    );
    const handler = open(recorders(), clock.now, () => elapsedMs, clock.mark());
    expect(handler.report().at).toBe("1970-01-01T00:00:05.000Z");
    elapsedMs += 60_000;
    nowMs = Date.parse("2026-11-21T10:01:00.000Z"); // NTP corrects the wall clock.
    expect(handler.report()).toEqual(uncontained("2026-11-21T10:00:00.000Z"));
  });

  test("proves an isolation again after the machine slept or was restored from a snapshot", async () => {
    let [nowMs, elapsedMs] = [Date.now(), 0];
    const handler = open(
      recorders(),
      () => nowMs,
      () => elapsedMs,
    );
    const pass = async (ms: number, ranMs: number): Promise<string> => {
      nowMs += ms;
      elapsedMs += ranMs;
      await handler.reassert(signal);
      return handler.report().at;
    };
    await handler.handle(await sign({ generation: 1, mode: "network" }), signal);
    const { at } = handler.report();
    // The wall clock first runs slightly faster than monotonic time, and is then set back by an hour.
    expect(await pass(600_000, 598_000)).toBe(at);
    expect(await pass(-3_600_000, 4000)).toBe(at);
    expect(await pass(3_600_000, 4000)).not.toBe(at);
    const again = handler.report().at;
    expect(await pass(4000, 4000)).toBe(again);
    expect(await pass(6001, 4000)).toBe(new Date(nowMs).toISOString());
    expect(reports).toBe(3);
    // A host that is not isolated has nothing to prove, so the time of its report does not change.
    await handler.handle(await sign({ generation: 2, mode: "network", action: "release" }), signal);
    const free = handler.report();
    expect(await pass(3_600_000, 0)).toBe(free.at);
  });

  test("report times grow from one generation to the next, even if the clock is set back", async () => {
    let nowMs = Date.now();
    const handler = open(recorders(), () => nowMs);
    await handler.handle(await sign({ generation: 1, mode: "network" }), signal);
    const { at } = handler.report();
    nowMs -= 60_000;
    await handler.handle(await sign({ generation: 2, mode: "network", action: "release" }), signal);
    expect(handler.report()).toMatchObject({ generation: 2, outcome: "applied" });
    expect(handler.report().at > at).toBe(true);
  });

  test.each([
    ["network", { outcome: "failed", reason: "nft hangs" }],
    ["stop-engines", { outcome: "failed", reason: "processes 7 could not be terminated" }],
  ] as const)(
    "keeps %s in force after a failed check and a restart, and reports when it is in force again",
    async (mode, failed) => {
      const good = proof;
      const handler = open();
      await handler.handle(await sign({ generation: 1, mode }), signal);
      proof = failed;
      await handler.reassert(signal);
      await handler.reassert(signal);
      const restarted = open();
      await restarted.resume(signal);
      expect(restarted.report()).toMatchObject({ outcome: "failed", reason: failed.reason });
      proof = good;
      await restarted.reassert(signal);
      expect(restarted.report()).toMatchObject({ generation: 1, outcome: "applied" });
      expect(done.slice(1)).toEqual(Array(4).fill(`reassert ${mode} 1`));
    },
  );

  test("keeps stopping engines after a failed first attempt, but does not retry a network isolation that was rolled back", async () => {
    const good = proof;
    for (const mode of ["stop-engines", "network"] as const) {
      proof = { outcome: "failed", reason: "not everything" };
      const handler = open();
      const generation = handler.report().generation + 1;
      await handler.handle(await sign({ generation, mode }), signal);
      proof = good;
      await handler.reassert(signal);
      expect([mode, handler.report().outcome]).toEqual([mode, mode === "network" ? "failed" : "applied"]);
    }
  });

  test("completes a directive at the next start if it was interrupted by the end of the agent, and reports no failure", async () => {
    const stopper = new AbortController();
    const cut = recorders();
    cut.network = {
      ...cut.network,
      apply: async () => {
        stopper.abort();
        throw new Error("stopped before the isolation was proven");
      },
    };
    await open(cut).handle(await sign({ generation: 3, mode: "network" }), stopper.signal);
    const handler = open();
    expect(handler.report()).toMatchObject({ generation: 3, outcome: "none" });
    await handler.resume(signal);
    expect(done).toEqual(["apply network 3"]);
    expect(handler.report()).toMatchObject({ generation: 3, outcome: "applied" });
  });

  describe("a proof covers the interval since the previous one:", () => {
    const ALTERED: Proof = { ...APPLIED, repaired: "the isolation rules were modified" };
    let [nowMs, elapsedMs] = [0, 0];
    const start = () =>
      open(
        recorders(),
        () => nowMs,
        () => elapsedMs,
      );
    const look = async (handler: DirectiveHandler, what: Proof, afterMs = 4000) => {
      nowMs += afterMs;
      elapsedMs += afterMs;
      proof = what;
      await handler.reassert(signal);
      return handler.report();
    };
    async function isolated(mode: Mode = "network"): Promise<DirectiveHandler> {
      [nowMs, elapsedMs] = [Date.now(), 0];
      proof = APPLIED;
      const handler = start();
      const generation = handler.report().generation + 1;
      await handler.handle(await sign({ generation, mode }), signal);
      reports = 0;
      return handler;
    }

    test("each repair starts more frequent quick checks, and their repairs are counted too", async () => {
      const handler = await isolated();
      await look(handler, APPLIED);
      expect(alarms).toBe(0);
      await look(handler, ALTERED);
      expect(alarms).toBe(1);
      done = [];
      nowMs += 250;
      elapsedMs += 250;
      await handler.reassert(signal, { isQuick: true });
      expect([done, alarms]).toEqual([["reassert network 1 quick"], 2]);
      expect(handler.report().outcome).toBe("failed");
    });

    test("reports one repair with its time and stays in force, and later checks report nothing new", async () => {
      const handler = await isolated();
      const report = await look(handler, ALTERED);
      const reason = `the isolation rules were modified at ${new Date(nowMs).toISOString()}; the agent restored the isolation`;
      expect(report).toMatchObject({ generation: 1, outcome: "applied", reason, probes: APPLIED.probes });
      expect(containmentReport.safeParse(report).success).toBe(true);
      for (let round = 0; round < 3; round++) expect(await look(handler, APPLIED)).toBe(report);
      expect(reports).toBe(1);
      // After the quiet period, a repair counts as new and is reported too.
      const later = await look(handler, ALTERED, 120_000);
      expect([later.outcome, later.reason !== reason, reports]).toEqual(["applied", true, 2]);
    });

    test("fails after repeated repairs until two minutes pass without a repair, even if the check succeeds", async () => {
      const handler = await isolated();
      await look(handler, ALTERED);
      const failed = await look(handler, ALTERED, 119_999);
      expect(failed).toMatchObject({ outcome: "failed", probes: APPLIED.probes });
      expect(failed.reason).toBe(
        "the isolation rules were modified; the agent restored the isolation at least 2 times; the isolation counts as failed until 2 minutes pass without a modification",
      );
      expect(await look(handler, APPLIED, 119_999)).toBe(failed);
      const good = await look(handler, APPLIED, 1);
      expect(good).toMatchObject({ outcome: "applied", probes: APPLIED.probes });
      expect(good.reason).toBeUndefined();
      expect((await look(handler, ALTERED)).outcome).toBe("applied");
    });

    test("reports a tamper loop of 200 repairs as one failure with a count, and reports again only when the count doubles", async () => {
      const handler = await isolated();
      const outcomes = new Set<string>();
      for (let round = 0; round < 200; round++)
        if ((await look(handler, ALTERED, 1200)).outcome !== "failed") outcomes.add(`round ${round}`);
      expect([...outcomes]).toEqual(["round 0"]);
      expect(handler.report().reason).toContain("at least 128 times");
      expect(reports).toBe(8);
    });

    test("keeps the count of repairs after a restart, and restarts the quiet period", async () => {
      let handler = await isolated();
      for (let round = 0; round < 3; round++) await look(handler, ALTERED);
      proof = APPLIED;
      elapsedMs = 0;
      nowMs += 3_600_000;
      handler = start();
      await handler.resume(signal);
      expect(handler.report()).toMatchObject({ outcome: "failed" });
      expect((await look(handler, APPLIED, 119_999)).outcome).toBe("failed");
      expect((await look(handler, APPLIED, 1)).outcome).toBe("applied");
      expect(readFileSync(join(directory, "containment.json"), "utf8")).not.toContain("repairs");
      const restarted = start();
      await restarted.resume(signal);
      expect(restarted.report().outcome).toBe("applied");
    });

    test("counts rules that are missing at each start of the agent as repeated repairs", async () => {
      await isolated();
      for (const outcome of ["applied", "failed", "failed"] as const) {
        const handler = start();
        proof = ALTERED;
        await handler.resume(signal);
        expect(handler.report().outcome).toBe(outcome);
        elapsedMs = 0;
      }
    });

    test("reports the reason of a failed check, and still counts earlier repairs afterwards", async () => {
      const handler = await isolated("stop-engines");
      await look(handler, ALTERED);
      const broken: Proof = { outcome: "failed", reason: "nft hangs", repaired: ALTERED.repaired! };
      expect(await look(handler, broken)).toMatchObject({ outcome: "failed", reason: "nft hangs" });
      expect((await look(handler, APPLIED)).reason).toContain("at least 2 times");
    });

    test("clears the count of repairs for a new directive", async () => {
      const handler = await isolated();
      for (let round = 0; round < 3; round++) await look(handler, ALTERED);
      proof = APPLIED;
      await handler.handle(await sign({ generation: 2, mode: "network", action: "release" }), signal);
      expect(handler.report()).toMatchObject({ generation: 2, action: "release", outcome: "applied" });
      await handler.handle(await sign({ generation: 3, mode: "network" }), signal);
      expect(await look(handler, APPLIED)).toMatchObject({ generation: 3, outcome: "applied" });
      expect((await look(handler, ALTERED)).outcome).toBe("applied");
    });
  });

  test("does not reassert in mode observe, after a release, or before the first isolation", async () => {
    const handler = open();
    await handler.resume(signal);
    await handler.handle(await sign({ generation: 1 }), signal);
    await handler.reassert(signal);
    await handler.handle(await sign({ generation: 2, mode: "network", action: "release" }), signal);
    await handler.reassert(signal);
    expect(done).toEqual(["apply observe 1", "release observe 2"]);
  });

  test("starts with a damaged state file, logs the damage, and applies the directive again", async () => {
    writeFileSync(join(directory, "containment.json"), "{");
    const handler = open();
    expect(said[0]).toStartWith("error ");
    await handler.handle(await sign({ generation: 4 }), signal);
    expect(handler.report().generation).toBe(4);
  });
});

describe("observeEnforcer()", () => {
  test.each([true, false])(
    "reports whether the control plane was reached (%p), and does not claim a blocked connection",
    async (reached) => {
      const enforcer = observeEnforcer(async () => reached);
      const expected: Proof = {
        outcome: "applied",
        probes: { controlPlaneReachable: reached, forbiddenBlocked: null },
      };
      expect(await enforcer.apply({ generation: 1, mode: "observe", wasInForce: true }, signal)).toEqual(
        expected,
      );
      expect(await enforcer.release({ generation: 2, mode: "observe", wasInForce: true }, signal)).toEqual(
        expected,
      );
    },
  );
});

describe("unsupportedEnforcer()", () => {
  test("fails every directive with a reason", async () => {
    const failed = {
      outcome: "failed",
      reason: "mode network is not supported by this agent on this system",
    };
    expect(
      await unsupportedEnforcer("network").apply(
        { generation: 1, mode: "network", wasInForce: true },
        signal,
      ),
    ).toEqual(failed as Proof);
  });
});

describe("a directive for a mainboard", () => {
  const [mine, other] = ["a".repeat(43), "b".repeat(43)];
  const board = { id: mine, strength: "board" as const };

  async function considered(named: string | undefined, hardware: Hardware | undefined) {
    let foreign = 0;
    const handler = createDirectiveHandler({
      directory,
      self: () => ({ tenantId: TENANT, assetId: ASSET, jwks: keys.jwks }),
      hardware,
      onForeign: () => void foreign++,
      enforcers: recorders(),
      clock: Date.now,
      since: Date.now,
      elapsed: () => performance.now(),
      log: () => {},
      onReport: () => {},
    });
    const claims = { ...directiveClaims(), ...(named !== undefined && { hardware: named }) };
    const jws = await signDirective(keys.control, claims);
    await handler.handle(jws, signal);
    await handler.handle(jws, signal);
    return { generation: handler.report().generation, foreign, done: done.length };
  }

  test("is refused on a host with another mainboard, and reported once", async () => {
    expect(await considered(other, board)).toEqual({ generation: 0, foreign: 1, done: 0 });
  });

  test.each([
    ["the same mainboard", mine, board],
    ["no mainboard named, as of an older control plane", undefined, board],
    ["a machine whose mainboard is unknown", other, undefined],
    ["a machine known by its operating system only", other, { id: mine, strength: "machine" as const }],
  ])("is applied with %s", async (_, named, hardware) => {
    const { generation, foreign } = await considered(named, hardware);
    expect([generation > 0, foreign]).toEqual([true, 0]);
  });
});
