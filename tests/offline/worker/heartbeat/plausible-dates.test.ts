import { describe, expect, test } from "bun:test";
import { makeHeartbeat } from "../../../../lz/platform/simulated-agents.ts";
import { unmarshalItem } from "../../../../shared/table/dynamo.ts";
import { telemetryKey } from "../../../../shared/table/keys.ts";
import { DAY_MS } from "../../../../shared/time/durations.ts";
import { datesOf } from "../../../../worker/heartbeat/plausible-dates.ts";
import { previewHeartbeat } from "../../../../worker/heartbeat/preview-heartbeat.ts";
import { recordHeartbeat } from "../../../../worker/record/record-heartbeat.ts";
import { createMemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";
import {
  ASSET,
  createWorkerDeps,
  deliver,
  makeTenant,
  TENANT,
} from "../../../support/dynamo/worker-table.ts";

const RECEIVED = "2026-11-21T10:00:00.000Z";
const MIDNIGHT = "2026-11-21T00:00:00.000Z";
const from = (ms: number): string => new Date(Date.parse(RECEIVED) + ms).toISOString();

describe("the dates of a heartbeat", () => {
  test.each([
    ["300 s ahead", 300_000],
    ["as it comes", 0],
    ["400 days late", -400 * DAY_MS],
  ])("are the reported ones: %s", (_what, ms) => {
    const [sentAt, stateSince] = [from(ms), from(Math.max(ms - 5000, -400 * DAY_MS))];
    expect(datesOf({ sentAt, stateSince }, RECEIVED)).toEqual({ at: sentAt, stateSince });
  });

  test.each([
    ["more than 300 s ahead", from(300_001)],
    ["more than 400 days ago", from(-400 * DAY_MS - 1)],
    ["of 1970", "1970-01-01T00:05:00.000Z"],
  ])("are replaced by the time of receipt if implausible: %s", (_what, sentAt) => {
    expect(datesOf({ sentAt, stateSince: sentAt }, RECEIVED)).toEqual({ at: RECEIVED, stateSince: MIDNIGHT });
  });

  test("start a state at the start of the day if its reported start is implausibly long ago", () => {
    const sentAt = from(-1000);
    const dates = (stateSince: string) => datesOf({ sentAt, stateSince }, RECEIVED);
    expect(dates(from(-400 * DAY_MS - 1))).toEqual({ at: sentAt, stateSince: MIDNIGHT });
    expect(dates(from(-400 * DAY_MS))).toEqual({ at: sentAt, stateSince: from(-400 * DAY_MS) });
  });

  test("are the same for a parsed heartbeat and its preview", () => {
    for (const sentMs of [0, Date.parse(RECEIVED), Date.parse(RECEIVED) + DAY_MS]) {
      const beat = makeHeartbeat(1, sentMs, "host");
      const { at, stateSince } = previewHeartbeat({
        assetId: ASSET,
        receivedAt: RECEIVED,
        body: JSON.stringify(beat),
      })!;
      const parsed = deliver(beat, ASSET, RECEIVED);
      expect({ at, stateSince }).toEqual({ at: parsed.at, stateSince: parsed.stateSince });
    }
  });
});

describe("a heartbeat of a host with a clock of 1970", () => {
  const tenant = makeTenant({ retentionDays: 30 });

  test("is recorded at its time of receipt and expires after the retention; its state continues as one", async () => {
    const table = createMemoryDynamo();
    const deps = createWorkerDeps(table, tenant);
    const since = "1970-01-01T00:05:00.000Z";
    for (const [sequence, seconds] of [0, 5, 10].entries()) {
      const beat = makeHeartbeat(sequence, Date.parse(since) + seconds * 1000, "host", { stateSince: since });
      await recordHeartbeat(deliver(beat, ASSET, from(seconds * 1000)), tenant, deps);
    }
    const items = [...table.items.values()].map(unmarshalItem).filter(({ type }) => type === "Telemetry");
    expect(items.filter(({ kind }) => kind === "change")).toMatchObject([
      { at: MIDNIGHT, expiresAt: Date.parse(RECEIVED) / 1000 + (30 * DAY_MS) / 1000 },
    ]);
    const presence = [...table.items.values()].map(unmarshalItem).find(({ type }) => type === "Presence")!;
    expect(presence).toMatchObject({ stateSince: MIDNIGHT });
    // After the clock is corrected, the start of the state is correct too.
    const right = makeHeartbeat(3, Date.parse(from(15_000)), "host", { stateSince: from(-3000) });
    await recordHeartbeat(deliver(right, ASSET, from(15_000)), tenant, deps);
    const now = [...table.items.values()].map(unmarshalItem).find(({ type }) => type === "Presence")!;
    expect(now).toMatchObject({ stateSince: from(-3000) });
  });
});

test("an item expires after the retention, counted from the later of event and receipt", async () => {
  const tenant = makeTenant({ retentionDays: 30, telemetryResolutionSeconds: 60 });
  const table = createMemoryDynamo();
  const deps = createWorkerDeps(table, tenant);
  // The heartbeats come from the spool of a host that was off for 100 days.
  const late = from(-100 * DAY_MS);
  for (const seconds of [0, 120]) {
    const beat = makeHeartbeat(1 + seconds, Date.parse(late) + seconds * 1000, "host", { stateSince: late });
    await recordHeartbeat(deliver(beat, ASSET, RECEIVED), tenant, deps);
  }
  const items = [...table.items.values()].map(unmarshalItem).filter(({ type }) => type === "Telemetry");
  expect(items.map(({ kind }) => kind).sort()).toEqual(["change", "sample"]);
  const after = Date.parse(RECEIVED) / 1000 + (30 * DAY_MS) / 1000;
  expect(items.map(({ expiresAt }) => expiresAt)).toEqual([after, after]);
  expect(items.map(({ PK, SK }) => ({ PK, SK }))).toContainEqual(
    telemetryKey(TENANT, ASSET, late, tenant.shards),
  );
});
