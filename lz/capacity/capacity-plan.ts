import { PACK_BYTES_MAX } from "../../shared/queue/message.ts";
/*
 * List prices of us-east-1 in US dollars, without the free tiers: SQS as of June 2026, DynamoDB as of
 * November 2024. Check them before you rely on them: aws.amazon.com/sqs/pricing,
 * aws.amazon.com/dynamodb/pricing/on-demand.
 */
export const PRICES = {
  /**
   * Price of a standard queue for the first 100 billion requests of a month. Each 64 KiB of payload counts as
   * one request.
   */
  SQS_MILLION_REQUESTS: 0.4,
  /** Surcharge for messages with a MessageGroupId (fair queues, since July 2025). */
  SQS_MILLION_FAIR_REQUESTS: 0.1,
  /**
   * On-demand price with the Standard table class (halved in November 2024). One unit is 1 KiB of one item or
   * index entry.
   */
  DYNAMODB_MILLION_WRITES: 0.625,
  DYNAMODB_GIB_MONTH: 0.25,
} as const;

const SQS_CHUNK_BYTES = 64 * 1024;
const SQS_BATCH_MAX = 10;
/**
 * Size of a full message relative to its heartbeats, as measured by `bun run bench`. Heartbeats are
 * compressed to a tenth, and base64 adds a third.
 */
const COMPRESSED_SHARE = 0.14;
const ENVELOPE_BYTES = 90;
const WRITE_UNIT_BYTES = 1024;
/** Bytes that DynamoDB adds to every item and index entry in its storage. */
const STORED_OVERHEAD_BYTES = 100;
const DAYS_PER_MONTH = 30;
const DAY_SECONDS = 24 * 3600;
/** Size of a sample in bytes. A sample contains only key, type and times: it proves that the asset reported. */
const SAMPLE_BYTES = 300;
const PRESENCE_BYTES = 900;
const PARTITION_UNITS_PER_SECOND = 1000;
/** Maximum share of a partition's limit that the plan uses. */
const PARTITION_SHARE = 0.7;

export type CapacityInput = {
  endpoints: number;
  intervalMs: number;
  heartbeatBytes: number;
  resolutionSeconds: number;
  changesPerDay: number;
  retentionDays: number;
  edgeNodes: number;
  packWaitMs: number;
};

export type Bill = {
  sqsRequests: number;
  writeUnits: number;
  storedGib: number;
  usd: { sqs: number; writes: number; storage: number; total: number };
};

export type CapacityPlan = {
  heartbeatsPerSecond: number;
  heartbeatsPerMonth: number;
  heartbeatsPerMessage: number;
  sqsRequestsPerHeartbeat: number;
  writeUnitsPerHeartbeat: number;
  writesPerSecond: number;
  shards: number;
  blueprint: Bill;
  packed: Bill;
  /** Price of the packed and sampled design, as a share of the blueprint's price. */
  ratio: number;
};

/**
 * Calculates the price of a month (30 days) at a steady rate, with storage as full as the retention allows.
 *
 * `blueprint` is the design with one SQS message and one write per heartbeat, in its best case: it receives
 * and deletes in full batches of ten, and telemetry has one index (GSI1). Compute, transfer, reads and
 * backups are not included.
 */
export function planCapacity(input: CapacityInput): CapacityPlan {
  const { endpoints, intervalMs, resolutionSeconds, changesPerDay, retentionDays } = input;
  const perSecond = (endpoints * 1000) / intervalMs;
  const seconds = DAYS_PER_MONTH * DAY_SECONDS;
  const heartbeats = perSecond * seconds;
  const changes = endpoints * changesPerDay * DAYS_PER_MONTH;
  const units = (bytes: number) => Math.ceil(bytes / WRITE_UNIT_BYTES);
  const itemUnits = units(input.heartbeatBytes);
  const fullItems = (count: number) => gib(count * 2 * (input.heartbeatBytes + STORED_OVERHEAD_BYTES));
  const retained = retentionDays / DAYS_PER_MONTH;

  const blueprint = bill(
    {
      sqsRequests:
        heartbeats * (1 + Math.ceil((SQS_BATCH_MAX * input.heartbeatBytes) / SQS_CHUNK_BYTES) / 10 + 1 / 10),
      writeUnits: heartbeats * 2 * itemUnits,
      storedGib: fullItems(heartbeats * retained),
    },
    PRICES.SQS_MILLION_REQUESTS,
  );

  const message = packing(input, perSecond);
  const samples = Math.min(heartbeats, (endpoints * seconds) / resolutionSeconds);
  const packed = bill(
    {
      sqsRequests: heartbeats * message.requestsPerHeartbeat,
      // A change writes its item, the copy of this item in GSI1, and presence. A sample writes its item and
      // presence.
      writeUnits:
        changes * (2 * itemUnits + units(PRESENCE_BYTES)) +
        samples * (units(SAMPLE_BYTES) + units(PRESENCE_BYTES)),
      storedGib:
        fullItems(changes * retained) +
        gib(samples * retained * (SAMPLE_BYTES + STORED_OVERHEAD_BYTES)) +
        gib(endpoints * (PRESENCE_BYTES + STORED_OVERHEAD_BYTES)),
    },
    PRICES.SQS_MILLION_REQUESTS + PRICES.SQS_MILLION_FAIR_REQUESTS,
  );
  const writesPerSecond = packed.writeUnits / seconds;
  return {
    heartbeatsPerSecond: perSecond,
    heartbeatsPerMonth: heartbeats,
    heartbeatsPerMessage: message.heartbeats,
    sqsRequestsPerHeartbeat: message.requestsPerHeartbeat,
    writeUnitsPerHeartbeat: packed.writeUnits / heartbeats,
    writesPerSecond,
    shards: Math.min(
      100,
      Math.max(10, Math.ceil(writesPerSecond / (PARTITION_UNITS_PER_SECOND * PARTITION_SHARE))),
    ),
    blueprint,
    packed,
    ratio: packed.usd.total / blueprint.usd.total,
  };
}

const gib = (bytes: number): number => bytes / 1024 ** 3;

/**
 * Number of heartbeats per message. A node collects the heartbeats of one tenant until the wait ends or the
 * message is full.
 */
function packing(input: CapacityInput, perSecond: number) {
  const lineBytes = input.heartbeatBytes + ENVELOPE_BYTES;
  const room = Math.max(1, Math.floor(PACK_BYTES_MAX / lineBytes));
  const gathered = 1 + (perSecond / input.edgeNodes) * (input.packWaitMs / 1000);
  const heartbeats = Math.min(room, gathered);
  const bytes = heartbeats * lineBytes * COMPRESSED_SHARE;
  const chunks = (payload: number) => Math.max(1, Math.ceil(payload / SQS_CHUNK_BYTES));
  const perMessage = chunks(bytes) + chunks(SQS_BATCH_MAX * bytes) / SQS_BATCH_MAX + 1 / SQS_BATCH_MAX;
  return { heartbeats, requestsPerHeartbeat: perMessage / heartbeats };
}

function bill(used: Omit<Bill, "usd">, millionRequestsUsd: number): Bill {
  const sqs = (used.sqsRequests / 1e6) * millionRequestsUsd;
  const writes = (used.writeUnits / 1e6) * PRICES.DYNAMODB_MILLION_WRITES;
  const storage = used.storedGib * PRICES.DYNAMODB_GIB_MONTH;
  return { ...used, usd: { sqs, writes, storage, total: sqs + writes + storage } };
}
