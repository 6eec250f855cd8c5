import type { Verb } from "../platform/deps.ts";
import { table } from "../platform/text-table.ts";
import { type Bill, planCapacity } from "./capacity-plan.ts";

const whole = (number: number): string => Math.round(number).toLocaleString("en-US");
const millions = (number: number): string => `${whole(number / 1e6)} M`;
const usd = (number: number): string => `$${whole(number)}`;

export const run: Verb = async ({ integers }) => {
  const plan = planCapacity({
    endpoints: integers.endpoints!,
    intervalMs: integers.interval!,
    heartbeatBytes: integers.bytes!,
    resolutionSeconds: integers.resolution!,
    changesPerDay: integers.changes!,
    retentionDays: integers.retention!,
    edgeNodes: integers.nodes!,
    packWaitMs: integers.wait!,
  });
  const row = (name: string, value: (bill: Bill) => string) => [
    name,
    value(plan.blueprint),
    value(plan.packed),
  ];
  return {
    json: plan,
    lines: [
      `${whole(integers.endpoints!)} endpoints, ${whole(plan.heartbeatsPerSecond)} heartbeats/s, ${millions(plan.heartbeatsPerMonth)} per month`,
      "",
      ...table(
        ["PER MONTH (AWS LIST PRICE, US-EAST-1)", "ONE SEND, ONE WRITE", "PACKED AND SAMPLED"],
        [
          row("SQS requests", (bill) => millions(bill.sqsRequests)),
          row("DynamoDB write units", (bill) => millions(bill.writeUnits)),
          row("DynamoDB storage, GiB", (bill) => whole(bill.storedGib)),
          row("SQS", (bill) => usd(bill.usd.sqs)),
          row("writes", (bill) => usd(bill.usd.writes)),
          row("storage", (bill) => usd(bill.usd.storage)),
          row("total", (bill) => usd(bill.usd.total)),
        ],
      ),
      "",
      `Packing and sampling reduce the price to 1/${(1 / plan.ratio).toFixed(1)}, with ${plan.heartbeatsPerMessage.toFixed(1)} heartbeats per message,`,
      `${plan.sqsRequestsPerHeartbeat.toFixed(3)} SQS requests and ${plan.writeUnitsPerHeartbeat.toFixed(3)} write units per heartbeat.`,
      `Plan for ${plan.shards} telemetry shards (${whole(plan.writesPerSecond)} write units/s). Compute and transfer are not included.`,
    ],
  };
};
