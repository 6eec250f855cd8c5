import { describe, expect, test } from "bun:test";
import { type CapacityInput, PRICES, planCapacity } from "../../../../lz/capacity/capacity-plan.ts";
import { PACK_BYTES_MAX } from "../../../../shared/queue/message.ts";

const input: CapacityInput = {
  endpoints: 10_000,
  intervalMs: 5000,
  heartbeatBytes: 1500,
  resolutionSeconds: 60,
  changesPerDay: 0,
  retentionDays: 180,
  edgeNodes: 1,
  packWaitMs: 20,
};
const MONTH_SECONDS = 30 * 24 * 3600;

describe("planCapacity()", () => {
  test("planCapacity() computes heartbeats from fleet size and interval", () => {
    const plan = planCapacity(input);
    expect(plan.heartbeatsPerSecond).toBe(2000);
    expect(plan.heartbeatsPerMonth).toBe(2000 * MONTH_SECONDS);
  });

  test("planCapacity() charges the blueprint one send and one indexed write per heartbeat, by the price list", () => {
    const { blueprint, heartbeatsPerMonth } = planCapacity(input);
    // 1500 bytes are two write units, and they are written to the table and to GSI1. Ten heartbeats fit into
    // one receive and one delete.
    expect(blueprint.writeUnits).toBe(heartbeatsPerMonth * 4);
    expect(blueprint.sqsRequests).toBeCloseTo(heartbeatsPerMonth * 1.2, -3);
    expect(blueprint.usd.writes).toBeCloseTo(
      ((heartbeatsPerMonth * 4) / 1e6) * PRICES.DYNAMODB_MILLION_WRITES,
      2,
    );
  });

  test("planCapacity() charges an unchanged asset two writes per resolution: its sample and its presence", () => {
    expect(planCapacity(input).writeUnitsPerHeartbeat).toBeCloseTo(2 / 12, 6);
    expect(planCapacity({ ...input, resolutionSeconds: 30 }).writeUnitsPerHeartbeat).toBeCloseTo(2 / 6, 6);
  });

  test("planCapacity() never samples more often than there are heartbeats", () => {
    expect(planCapacity({ ...input, resolutionSeconds: 1 }).writeUnitsPerHeartbeat).toBe(2);
  });

  test("planCapacity() charges every change its item, its index entry and presence", () => {
    const without = planCapacity(input).packed.writeUnits;
    const withChanges = planCapacity({ ...input, changesPerDay: 10 }).packed.writeUnits;
    expect(withChanges - without).toBeCloseTo(10_000 * 10 * 30 * (2 * 2 + 1), -2);
  });

  test("planCapacity() fills a message up to the limit of the edge", () => {
    const plan = planCapacity({ ...input, packWaitMs: 1000 });
    expect(plan.heartbeatsPerMessage).toBe(Math.floor(PACK_BYTES_MAX / (1500 + 90)));
    expect(plan.sqsRequestsPerHeartbeat).toBeLessThan(0.06);
  });

  test("planCapacity() charges a whole message for a single heartbeat", () => {
    const plan = planCapacity({ ...input, endpoints: 1 });
    expect(plan.heartbeatsPerMessage).toBeCloseTo(1, 1);
    expect(plan.sqsRequestsPerHeartbeat).toBeGreaterThan(1);
  });

  test("planCapacity() charges more for a fleet that is spread over nodes, because messages are smaller", () => {
    const one = planCapacity(input);
    const ten = planCapacity({ ...input, edgeNodes: 10 });
    expect(ten.heartbeatsPerMessage).toBeLessThan(one.heartbeatsPerMessage);
    expect(ten.packed.usd.sqs).toBeGreaterThan(one.packed.usd.sqs);
  });

  test("planCapacity() costs at most a twentieth of the blueprint for 10,000 endpoints at 5 s", () => {
    expect(planCapacity({ ...input, changesPerDay: 20 }).ratio).toBeLessThanOrEqual(1 / 20);
  });

  test("planCapacity() adds shards if one partition would exceed its limit", () => {
    expect(planCapacity(input).shards).toBe(10);
    expect(planCapacity({ ...input, endpoints: 1_000_000 }).shards).toBeGreaterThan(10);
  });
});
