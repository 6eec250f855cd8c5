import { describe, expect, test } from "bun:test";
import {
  type ContainmentState,
  containmentOf,
  endsAction,
  isAhead,
  isDirectiveDue,
  isNewDirective,
  isOffline,
  isProof,
  isSetBackBy,
  isUnrecordedRelease,
  nextGeneration,
  refusedChange,
  statusAfter,
  unrecordedRelease,
} from "../../../../shared/containment/containment-state.ts";
import type { AssetItem } from "../../../../shared/table/items/asset/asset.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import type { ContainmentReport } from "../../../../shared/wire/heartbeat.ts";

const NOW_MS = 1_790_000_000_000;
const seen = { lastSeenAt: timestamp(NOW_MS), intervalMs: 5000 };
const wish = (more = {}) => ({
  generation: 2,
  action: "isolate" as const,
  mode: "network" as const,
  requestedAt: timestamp(NOW_MS),
  expiresAt: timestamp(NOW_MS + 1000),
  directive: "x",
  ...more,
});
const proof = (more = {}): ContainmentReport => ({
  generation: 2,
  action: "isolate",
  mode: "network",
  outcome: "applied",
  at: timestamp(NOW_MS),
  probes: { controlPlaneReachable: true, forbiddenBlocked: true },
  ...more,
});
const asset = (parts: Partial<AssetItem>) => ({ status: "ISOLATED" as const, generation: 2, ...parts });

test("containmentOf() does not report suspended engines as terminated (older agents)", () => {
  const by = (wished?: "suspend" | "terminate", done?: "suspend" | "terminate") =>
    containmentOf(
      asset({
        wish: wish({ mode: "stop-engines", stopEnginesBy: wished }),
        proof: proof({ mode: "stop-engines", stopEnginesBy: done }),
      }),
      seen,
      NOW_MS,
    );
  const reason = "the agent suspended the engines instead of terminating them: update the agent";
  for (const done of [undefined, "suspend"] as const)
    expect(by("terminate", done)).toEqual({ state: "enforced", offline: false, reason });
  for (const [wished, done] of [
    ["terminate", "terminate"],
    ["suspend", undefined],
    [undefined, undefined],
  ] as const)
    expect(by(wished, done)).toEqual({ state: "enforced", offline: false });
});

test("isUnrecordedRelease() accepts only a release by code that is not in the custody log", () => {
  const freed = proof({ action: "release", reason: "released at the host with code A" });
  const asked = (report: ContainmentReport, more: Partial<AssetItem> = {}) =>
    isUnrecordedRelease({ generation: 2, ...more }, report);
  expect(asked(freed)).toBe(true);
  expect(asked(freed, { generation: 3, offlineReleaseOf: 1 })).toBe(true);
  expect(asked(freed, { offlineReleaseOf: 2 })).toBe(false);
  expect(asked(freed, { generation: 1 })).toBe(false);
  for (const other of [{ outcome: "failed" }, { action: "isolate" }, { reason: "released" }] as const)
    expect(asked({ ...freed, ...other })).toBe(false);
});

describe("containmentOf() claims no more than is proven", () => {
  const cases: [string, Partial<AssetItem>, number, ContainmentState][] = [
    ["no wish", {}, NOW_MS, "active"],
    ["a wish without proof", { wish: wish() }, NOW_MS, "pending"],
    ["a proof of an older generation", { wish: wish(), proof: proof({ generation: 1 }) }, NOW_MS, "pending"],
    [
      "freed at the host with a code",
      { wish: wish(), proof: proof({ action: "release", reason: "released at the host with code A" }) },
      NOW_MS,
      "released-offline",
    ],
    [
      "another release of that generation, which the host obeyed before the table was restored",
      { wish: wish(), proof: proof({ action: "release" }) },
      NOW_MS,
      "failed",
    ],
    [
      "another isolation of the generation of a release, which the host obeyed before the table was restored",
      { wish: wish({ action: "release" }), proof: proof() },
      NOW_MS,
      "release-failed",
    ],
    [
      "an isolation's proof after its release was wished",
      { wish: wish({ action: "release" }), proof: proof({ generation: 1 }) },
      NOW_MS,
      "releasing",
    ],
    ["a wish at its last moment", { wish: wish() }, NOW_MS + 1000, "pending"],
    ["a wish past its expiry", { wish: wish() }, NOW_MS + 1001, "expired"],
    ["both probes good", { wish: wish(), proof: proof() }, NOW_MS, "enforced"],
    [
      "enforced, and the directive expired since",
      { wish: wish(), proof: proof() },
      NOW_MS + 5000,
      "enforced",
    ],
    [
      "the agent failed",
      { wish: wish(), proof: proof({ outcome: "failed", reason: "no nft" }) },
      NOW_MS,
      "failed",
    ],
    ["no probes", { wish: wish(), proof: proof({ probes: undefined }) }, NOW_MS, "failed"],
    [
      "the forbidden address answered",
      { wish: wish(), proof: proof({ probes: { controlPlaneReachable: true, forbiddenBlocked: false } }) },
      NOW_MS,
      "failed",
    ],
    [
      "the control plane did not answer",
      { wish: wish(), proof: proof({ probes: { controlPlaneReachable: false, forbiddenBlocked: true } }) },
      NOW_MS,
      "failed",
    ],
    ["another mode, obeyed", { wish: wish(), proof: proof({ mode: "stop-engines" }) }, NOW_MS, "failed"],
    [
      "mode observe, and a blocking one obeyed",
      { wish: wish({ mode: "observe" }), proof: proof() },
      NOW_MS,
      "failed",
    ],
    [
      "mode observe, obeyed",
      { wish: wish({ mode: "observe" }), proof: proof({ mode: "observe", probes: undefined }) },
      NOW_MS,
      "acknowledged",
    ],
    ["a release without proof", { wish: wish({ action: "release" }) }, NOW_MS, "releasing"],
    [
      "a release, proven",
      { wish: wish({ action: "release" }), proof: proof({ action: "release" }) },
      NOW_MS,
      "active",
    ],
    [
      "a release that failed",
      { wish: wish({ action: "release" }), proof: proof({ action: "release", outcome: "failed" }) },
      NOW_MS,
      "release-failed",
    ],
  ];
  for (const [what, parts, now, state] of cases) {
    test(`${what}: ${state}`, () => expect(containmentOf(asset(parts), seen, now).state).toBe(state));
  }
});

test("containmentOf() mentions an unsigned report only for an unproven state", () => {
  const reason = "the report is not signed by the device key of this host";
  const of = (generation: number, parts: Partial<AssetItem>, nowMs = NOW_MS) =>
    containmentOf(asset({ unsignedReport: { generation, at: timestamp(NOW_MS) }, ...parts }), seen, nowMs);
  const release = wish({ action: "release" });
  expect(of(2, { wish: wish() })).toEqual({ state: "pending", offline: false, reason });
  expect(of(2, { wish: wish() }, NOW_MS + 1001)).toMatchObject({ state: "expired", reason });
  expect(of(2, { wish: release })).toMatchObject({ state: "releasing", reason });
  expect(of(2, { wish: release }, NOW_MS + 1001)).toMatchObject({ state: "release-failed", reason });
  expect(of(1, { wish: wish() })).toEqual({ state: "pending", offline: false });
  expect(of(2, { wish: wish(), proof: proof() })).toEqual({ state: "enforced", offline: false });
  expect(of(2, {})).toEqual({ state: "active", offline: false });
});

test("containmentOf() names the directive with the same generation that a host obeyed before a restore", () => {
  const at = timestamp(NOW_MS - 5000);
  const said = (wished: "isolate" | "release", done: "isolate" | "release") =>
    containmentOf(
      asset({ wish: wish({ action: wished }), proof: proof({ action: done, at }) }),
      seen,
      NOW_MS,
    );
  expect(said("release", "isolate")).toEqual({
    state: "release-failed",
    offline: false,
    reason: `the host already proved another directive with generation 2 (isolate) at ${at}: release the host again`,
  });
  expect(said("isolate", "release")).toEqual({
    state: "failed",
    offline: false,
    reason: `the host already proved another directive with generation 2 (release) at ${at}: release the host and isolate it again`,
  });
});

test("nextGeneration() is higher than every directive that the host is known to have obeyed", () => {
  expect(nextGeneration({ generation: 4 })).toBe(5);
  expect(nextGeneration({ generation: 4, heardGeneration: 7 })).toBe(8);
  expect(nextGeneration({ generation: 9, heardGeneration: 7 })).toBe(10);
});

test("isAhead() accepts a report on an unknown request once, and within limits", () => {
  const of = (generation: number, more = {}) => isAhead({ generation: 4, ...more }, { generation });
  expect([3, 4, 5, 7].map((generation) => of(generation))).toEqual([false, false, true, true]);
  expect([6, 7, 8].map((generation) => of(generation, { heardGeneration: 7 }))).toEqual([false, false, true]);
  expect(of(7, { revokedAt: timestamp(NOW_MS) })).toBe(false);
  // A report with the highest possible generation is rejected, because no higher generation could follow.
  expect([1_000_004, 1_000_005].map((generation) => of(generation))).toEqual([true, false]);
});

test("containmentOf() says why nothing is in force", () => {
  const reasonOf = (parts: Partial<AssetItem>, nowMs = NOW_MS) =>
    containmentOf(asset(parts), seen, nowMs).reason;
  const failed = { outcome: "failed", reason: "no nft" } as const;
  expect(reasonOf({ wish: wish(), proof: proof(failed) })).toBe("no nft");
  expect(reasonOf({ wish: wish(), proof: proof({ outcome: "failed" }) })).toBe("no reason given");
  expect(reasonOf({ wish: wish(), proof: proof({ mode: "stop-engines" }) })).toBe(
    "the host is in mode stop-engines, not network",
  );
  const release = { wish: wish({ action: "release" }), proof: proof({ ...failed, action: "release" }) };
  expect(reasonOf(release)).toBe("no nft");
  const setBack = { generation: 1, since: 2, at: timestamp(NOW_MS) };
  const back = { wish: wish({ action: "release" }), proof: proof({ action: "release" }), setBack };
  const why = "the host returned to the isolation of generation 1 after its release";
  expect([reasonOf(back), reasonOf(back, NOW_MS + 1001)]).toEqual([
    why,
    `${why}, and the directive has expired`,
  ]);
  expect(containmentOf(asset(back), seen, NOW_MS + 1001).state).toBe("release-failed");
});

test("refusedChange() refuses a change without effect or recipient, with the reason", () => {
  const refused = (action: "isolate" | "release", parts: Partial<AssetItem>, nowMs = NOW_MS) =>
    refusedChange(asset(parts), action, nowMs);
  expect(refused("isolate", { status: "ACTIVE" })).toBeUndefined();
  expect(refused("isolate", {})).toBe("the asset is already ISOLATED");
  expect(refused("release", {})).toBeUndefined();
  expect(refused("release", { status: "ACTIVE" })).toBe("the asset is ACTIVE, not ISOLATED");
  const revokedAt = timestamp(NOW_MS);
  expect(refused("isolate", { revokedAt, status: "ACTIVE" })).toBe("the asset was revoked");
  expect(refused("release", { revokedAt })).toBe(
    "the asset was revoked, so directives no longer reach it. Use a release code at the host",
  );
  const released = { status: "ACTIVE" as const, wish: wish({ action: "release" }) };
  expect(refused("release", released, NOW_MS + 1000)).toBe("the asset is ACTIVE, not ISOLATED");
  expect(refused("release", released, NOW_MS + 1001)).toBeUndefined();
});

test("isDirectiveDue() is true until the generation is reported or the directive expires", () => {
  const due = (reported: number, nowMs = NOW_MS) =>
    isDirectiveDue({ generation: 2, expiresAtMs: NOW_MS + 1 }, reported, nowMs);
  expect([due(0), due(1), due(2), due(3), due(1, NOW_MS + 1)]).toEqual([true, true, false, false, false]);
});

test("isProof() accepts only a newer report of the requested generation", () => {
  const takes = (report: Partial<ContainmentReport>, parts: Partial<AssetItem> = {}) =>
    isProof(asset(parts), proof(report));
  const later = timestamp(NOW_MS + 1);
  expect([takes({}), takes({ generation: 1 }), takes({ generation: 3 })]).toEqual([true, false, false]);
  expect(takes({ generation: 0 }, { generation: 0 })).toBe(false);
  expect(takes({}, { revokedAt: later })).toBe(false);
  expect([takes({}, { proof: proof() }), takes({ at: later }, { proof: proof() })]).toEqual([false, true]);
  expect(takes({}, { proof: proof({ generation: 1, at: later }) })).toBe(true);
});

test("isSetBackBy() accepts an isolation proven after the release, once", () => {
  const at = (ms: number) => timestamp(NOW_MS + ms);
  const freed = { wish: wish({ action: "release" }), proof: proof({ action: "release", at: at(5) }) };
  const back = (report: Partial<ContainmentReport>, parts: Partial<AssetItem> = {}) =>
    isSetBackBy(asset({ ...freed, ...parts }), proof({ generation: 1, ...report }));
  expect([back({ at: at(6) }), back({ at: at(5) }), back({ at: at(4) })]).toEqual([true, false, false]);
  expect(back({ at: at(6), generation: 2 })).toBe(false);
  const before = { generation: 1, since: 0, at: at(6) };
  expect([back({ at: at(6) }, { setBack: before }), back({ at: at(7) }, { setBack: before })]).toEqual([
    false,
    true,
  ]);
});

test("unrecordedRelease() returns the oldest release by code that is missing from the custody log", () => {
  const byCode = (generation: number) =>
    proof({ generation, action: "release", reason: "released at the host with code A" });
  const both = { wish: wish(), proof: byCode(2), freedByCode: byCode(1) };
  const oldest = (parts: Partial<AssetItem>) => unrecordedRelease(asset(parts))?.generation;
  expect([oldest(both), oldest({ ...both, offlineReleaseOf: 1 })]).toEqual([1, 2]);
  expect([oldest({ ...both, freedByCode: byCode(3) }), oldest({ ...both, offlineReleaseOf: 2 })]).toEqual([
    2,
    undefined,
  ]);
  expect([oldest({ wish: wish(), proof: proof({ action: "release" }) }), oldest({})]).toEqual([
    undefined,
    undefined,
  ]);
});

test("endsAction() accepts only a requested and applied release", () => {
  const ends = (wished: "isolate" | "release", report: Partial<ContainmentReport>) =>
    endsAction({ wish: wish({ action: wished }) }, proof(report));
  expect(ends("release", { action: "release" })).toBe(true);
  expect(ends("release", { action: "release", outcome: "failed" })).toBe(false);
  expect([ends("release", {}), ends("isolate", { action: "release" })]).toEqual([false, false]);
  expect([statusAfter("isolate"), statusAfter("release")]).toEqual(["ISOLATED", "ACTIVE"]);
  expect(isNewDirective({ generation: 2 }, { generation: 1 })).toBe(true);
  expect(isNewDirective({ generation: 2 }, { generation: 2 })).toBe(false);
});

test("isOffline() waits for 90 s of silence, or six heartbeats where those are longer", () => {
  expect(isOffline(seen, NOW_MS + 90_000)).toBe(false);
  expect(isOffline(seen, NOW_MS + 90_001)).toBe(true);
  expect(isOffline({ ...seen, intervalMs: 60_000 }, NOW_MS + 360_000)).toBe(false);
  expect(isOffline({ ...seen, intervalMs: 60_000 }, NOW_MS + 360_001)).toBe(true);
  expect(isOffline(undefined, NOW_MS)).toBe(true);
});
