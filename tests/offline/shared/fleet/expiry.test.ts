import { describe, expect, test } from "bun:test";
import { type ExpiringAsset, expiryOf } from "../../../../shared/fleet/expiry.ts";
import { DAY_MS } from "../../../../shared/time/durations.ts";

const NOW_MS = Date.parse("2026-11-30T12:00:00.000Z");
const at = (daysAgo: number) => new Date(NOW_MS - daysAgo * DAY_MS).toISOString();
const seen = (daysAgo: number) => ({ lastSeenAt: at(daysAgo) });
const asset = (more: Partial<ExpiringAsset> = {}): ExpiringAsset => ({
  ...{ status: "ACTIVE", generation: 0, enrolledAt: at(400) },
  ...more,
});
const wish = (action: "isolate" | "release", generation = 1) =>
  ({ generation, action, mode: "network", requestedAt: at(90), expiresAt: at(60), directive: "d" }) as const;
const proof = (action: "isolate" | "release", generation = 1) =>
  ({ generation, action, mode: "network", outcome: "applied", at: at(89) }) as const;

describe("expiryOf()", () => {
  test("a host leaves the active list after exactly the days of the setting, counted from its last heartbeat", () => {
    expect(expiryOf(asset(), seen(29.999), 30, NOW_MS)).toBeUndefined();
    expect(expiryOf(asset(), seen(30), 30, NOW_MS)).toEqual({ reason: "silent", since: at(0) });
    expect(expiryOf(asset(), seen(45), 30, NOW_MS)).toEqual({ reason: "silent", since: at(15) });
  });

  test("a host that never reported counts from its enrolment", () => {
    const never = (daysAgo: number) => expiryOf(asset({ enrolledAt: at(daysAgo) }), undefined, 7, NOW_MS);
    expect(never(6.999)).toBeUndefined();
    expect(never(7)).toEqual({ reason: "never-reported", since: at(0) });
  });

  test("0 disables expiry of silent hosts, but not decisions of an administrator", () => {
    expect(expiryOf(asset(), seen(3650), 0, NOW_MS)).toBeUndefined();
    expect(expiryOf(asset({ expiredAt: at(1) }), seen(2), 0, NOW_MS)?.reason).toBe("removed");
  });

  test("a removed host returns with its next heartbeat, but not with an older one", () => {
    const removed = asset({ expiredAt: at(1) });
    expect(expiryOf(removed, seen(1.001), 30, NOW_MS)).toEqual({ reason: "removed", since: at(1) });
    expect(expiryOf(removed, undefined, 30, NOW_MS)?.reason).toBe("removed");
    expect(expiryOf(removed, seen(0.999), 30, NOW_MS)).toBeUndefined();
  });

  test("an isolated host never expires, regardless of setting and administrator", () => {
    const isolated = asset({
      status: "ISOLATED",
      generation: 1,
      wish: wish("isolate"),
      proof: proof("isolate"),
    });
    expect(expiryOf(isolated, seen(300), 30, NOW_MS)).toBeUndefined();
    expect(expiryOf({ ...isolated, expiredAt: at(1) }, seen(300), 30, NOW_MS)).toBeUndefined();
  });

  test("a host stays until its release is proven, because it may still be contained", () => {
    const releasing = asset({ generation: 2, wish: wish("release", 2), proof: proof("isolate") });
    expect(expiryOf(releasing, seen(300), 30, NOW_MS)).toBeUndefined();
    const released = asset({ generation: 2, wish: wish("release", 2), proof: proof("release", 2) });
    expect(expiryOf(released, seen(300), 30, NOW_MS)?.reason).toBe("silent");
  });

  test("a superseded asset is removed immediately and does not return with a heartbeat", () => {
    const superseded = asset({ supersededBy: "01K00000000000000000000001", revokedAt: at(2) });
    expect(expiryOf(superseded, seen(0), 30, NOW_MS)).toEqual({ reason: "superseded", since: at(2) });
  });
});
