import { percentile } from "../../lz/platform/percentile.ts";
import { PACK_BYTES_MAX } from "../../shared/queue/message.ts";
import { inflate } from "../../worker/heartbeat/verify-message.ts";

/*
 * A proxy in front of SQS and DynamoDB, as a separate process. The proxy forwards every request. It counts
 * requests as SQS bills them, heartbeats in the queue with their age, and write units as reported by
 * DynamoDB.
 *
 * `GET /counts` returns the counts. `POST /reset` starts a new counting period. Requests that are not SQS or
 * DynamoDB actions are not counted, for example probes from an agent on this host.
 */

const SQS_CHUNK_BYTES = 64 * 1024;
/** `QUEUE_URL` is the heartbeat queue. For messages of other queues, only the billed requests are counted. */
const { SQS_ENDPOINT, DYNAMODB_ENDPOINT, QUEUE_URL } = process.env as Record<string, string>;

type Flow = { messages: number; heartbeats: Record<string, number> };
const newFlow = (): Flow => ({ messages: 0, heartbeats: {} });

/**
 * Counts of messages that the queue accepted, delivered and deleted, and of the heartbeats in these messages.
 * The counts cover the whole run.
 */
const flow = { accepted: newFlow(), removed: newFlow(), received: newFlow() };
/** Number of accepted writes by telemetry key. A second write with the same key is a duplicate heartbeat. */
const telemetryWrites = new Map<string, number>();
type Received = { tenant: string; count: number; receivedAtMs: number };
/** Received messages that are not deleted yet, by receipt handle. */
const held = new Map<string, Received>();

const newWindow = () => ({
  sqsCalls: {} as Record<string, number>,
  sqsBilled: {} as Record<string, number>,
  writeUnits: {} as Record<string, number>,
  writes: {} as Record<string, number>,
  /** Number of telemetry samples among the items with a label. */
  samples: {} as Record<string, number>,
  dynamoCalls: {} as Record<string, number>,
  /**
   * Age of each heartbeat in ms, counted from the time when the edge received it. Measured when the worker
   * receives the heartbeat and again when the worker settles it.
   */
  receivedAgesMs: [] as number[],
  settledAgesMs: [] as number[],
});
let current = newWindow();

const add = (counts: Record<string, number>, name: string, number: number) => {
  counts[name] = (counts[name] ?? 0) + number;
};

/** Adds the age of a message once for each heartbeat in the message, so that percentiles refer to heartbeats. */
const addAges = (ages: number[], ageMs: number, count: number) => {
  for (let i = 0; i < count; i++) ages.push(ageMs);
};

/** Reads the tenant, the number of heartbeats and the oldest receive time from a batch message. */
function packOf(message: string): Received | undefined {
  const body = inflate(message);
  const header = /^\{"v":1,"tenant":"([^"]+)","count":(\d+)\}\n\{"asset":"[^"]+","receivedAt":"([^"]+)"/.exec(
    body,
  );
  return header
    ? { tenant: header[1]!, count: Number(header[2]), receivedAtMs: Date.parse(header[3]!) }
    : undefined;
}

const pathOf = (url: string): string => new URL(url).pathname;
const isOfHeartbeats = ({ QueueUrl }: Record<string, unknown>): boolean =>
  pathOf(QueueUrl as string) === pathOf(QUEUE_URL!);

type SqsMessage = { Body: string; ReceiptHandle: string };

function countSqs(
  action: string,
  request: Record<string, unknown>,
  answer: Record<string, unknown>,
  ok: boolean,
) {
  add(current.sqsCalls, action, 1);
  let payload = 0;
  if (action === "SendMessage") {
    payload = Buffer.byteLength(request.MessageBody as string) + attributeBytes(request.MessageAttributes);
    const pack = isOfHeartbeats(request) ? packOf(request.MessageBody as string) : undefined;
    if (ok && pack) {
      flow.accepted.messages++;
      add(flow.accepted.heartbeats, pack.tenant, pack.count);
    }
  } else if (action === "ReceiveMessage") {
    for (const message of (answer.Messages ?? []) as SqsMessage[]) {
      payload +=
        Buffer.byteLength(message.Body) +
        attributeBytes((message as { MessageAttributes?: unknown }).MessageAttributes);
      const pack = packOf(message.Body);
      if (!pack) continue;
      flow.received.messages++;
      add(flow.received.heartbeats, pack.tenant, pack.count);
      held.set(message.ReceiptHandle, pack);
      addAges(current.receivedAgesMs, Date.now() - pack.receivedAtMs, pack.count);
    }
  } else if (action === "DeleteMessageBatch" && ok) {
    const failed = new Set(((answer.Failed ?? []) as { Id: string }[]).map(({ Id }) => Id));
    for (const { Id, ReceiptHandle } of request.Entries as { Id: string; ReceiptHandle: string }[]) {
      const pack = held.get(ReceiptHandle);
      if (!pack || failed.has(Id)) continue;
      held.delete(ReceiptHandle);
      flow.removed.messages++;
      add(flow.removed.heartbeats, pack.tenant, pack.count);
      addAges(current.settledAgesMs, Date.now() - pack.receivedAtMs, pack.count);
    }
  }
  add(current.sqsBilled, action, Math.max(1, Math.ceil(payload / SQS_CHUNK_BYTES)));
}

const attributeBytes = (attributes: unknown): number =>
  Object.entries((attributes ?? {}) as Record<string, { StringValue?: string }>).reduce(
    (sum, [name, { StringValue = "" }]) => sum + name.length + "String".length + StringValue.length,
    0,
  );

type Value = { S?: string };
type Item = Record<string, Value>;
type Consumed = { CapacityUnits?: number };
type Written = { Item?: Item; Key?: Item };
type WriteRequest = Written & {
  TransactItems?: { Put?: Written; Update?: Written; Delete?: Written; ConditionCheck?: Written }[];
  RequestItems?: Record<string, { PutRequest?: Written; DeleteRequest?: Written }[]>;
};

/** Items in a write request, for all write operations. DynamoDB bills a condition check like a write. */
function itemsOf(request: WriteRequest): Item[] {
  const all: (Written | undefined)[] = [
    request,
    ...(request.TransactItems ?? []).map(
      (each) => each.Put ?? each.Update ?? each.Delete ?? each.ConditionCheck,
    ),
    ...Object.values(request.RequestItems ?? {})
      .flat()
      .map((each) => each.PutRequest ?? each.DeleteRequest),
  ];
  return all.map((each) => each?.Item ?? each?.Key).filter((item) => item !== undefined);
}

/**
 * Label of an item: the first part of its sort key, followed by its kind if it has one. Examples: `telemetry
 * sample`, `presence`.
 */
function kindOf(item: Item): string {
  const sortKey = item.SK?.S ?? "";
  const word = sortKey.split("#")[0]!.toLowerCase();
  return item.kind?.S === undefined ? word : `${word} ${item.kind.S}`;
}

function countDynamo(operation: string, request: WriteRequest, answer: Record<string, unknown>, ok: boolean) {
  add(current.dynamoCalls, ok ? operation : `${operation} rejected`, 1);
  if (!WRITES.test(operation)) return;
  const items = itemsOf(request);
  const label = [...new Set(items.map(kindOf))].sort().join(" + ");
  // A write with a failed condition costs as much as a successful write, but DynamoDB reports units only for
  // successful writes.
  add(current.writes, ok ? label : `${label} rejected`, 1);
  if (!ok) return;
  const consumed = [answer.ConsumedCapacity ?? []].flat() as Consumed[];
  for (const { CapacityUnits = 0 } of consumed) add(current.writeUnits, label, CapacityUnits);
  for (const item of items) {
    if (item.kind?.S === undefined) continue;
    if (item.kind.S === "sample") add(current.samples, label, 1);
    const name = `${item.PK?.S} ${item.SK?.S}`;
    telemetryWrites.set(name, (telemetryWrites.get(name) ?? 0) + 1);
  }
}

const WRITES = /^(PutItem|UpdateItem|DeleteItem|TransactWriteItems|BatchWriteItem)$/;

async function pass(
  request: Request,
  endpoint: string,
  body: string,
): Promise<{ response: Response; text: string }> {
  const url = new URL(request.url);
  const headers = new Headers(request.headers);
  headers.delete("host");
  headers.delete("accept-encoding");
  headers.delete("content-length");
  const response = await fetch(`${endpoint}${url.pathname}`, {
    method: request.method,
    headers,
    body,
    signal: request.signal,
  });
  return { response, text: await response.text() };
}

const plainHeaders = (response: Response) => {
  const headers = new Headers(response.headers);
  headers.delete("content-length");
  headers.delete("transfer-encoding");
  // The checksum refers to the original bytes. The forwarded response has different bytes.
  headers.delete("x-amz-crc32");
  return headers;
};

const parse = (text: string): Record<string, unknown> => (text.startsWith("{") ? JSON.parse(text) : {});

function actionOf(request: Request, service: string): string | undefined {
  const [of, action] = (request.headers.get("x-amz-target") ?? "").split(".");
  return of === service ? action : undefined;
}

const sqs = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: 120,
  maxRequestBodySize: 32 * PACK_BYTES_MAX,
  async fetch(request) {
    const body = await request.text();
    const { response, text } = await pass(request, SQS_ENDPOINT!, body);
    const action = actionOf(request, "AmazonSQS");
    if (action) countSqs(action, parse(body), parse(text), response.ok);
    return new Response(text, { status: response.status, headers: plainHeaders(response) });
  },
});

const dynamodb = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: 120,
  async fetch(request) {
    const body = await request.text();
    const operation = actionOf(request, "DynamoDB_20120810");
    const isWrite = operation !== undefined && WRITES.test(operation);
    const asked = isWrite ? `{"ReturnConsumedCapacity":"TOTAL",${body.slice(1)}` : body;
    const { response, text } = await pass(request, DYNAMODB_ENDPOINT!, asked);
    if (operation)
      countDynamo(operation, isWrite ? JSON.parse(body) : {}, isWrite ? parse(text) : {}, response.ok);
    return new Response(text, { status: response.status, headers: plainHeaders(response) });
  },
});

const percentiles = (ages: number[]) => {
  const ascending = Float64Array.from(ages).sort();
  return { p50: percentile(ascending, 0.5), p99: percentile(ascending, 0.99), max: percentile(ascending, 1) };
};

const control = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request) {
    const asked = `${request.method} ${new URL(request.url).pathname}`;
    if (asked === "POST /reset") {
      current = newWindow();
      return Response.json({});
    }
    if (asked !== "GET /counts") return new Response("not found", { status: 404 });
    const { receivedAgesMs, settledAgesMs, ...counts } = current;
    const twice = [...telemetryWrites].filter(([, writes]) => writes > 1).length;
    return Response.json({
      ...counts,
      flow,
      held: held.size,
      telemetryWrittenTwice: twice,
      receivedAgeMs: percentiles(receivedAgesMs),
      settledAgeMs: percentiles(settledAgesMs),
    });
  },
});
console.log(
  JSON.stringify({
    event: "proxy.listening",
    sqs: `http://127.0.0.1:${sqs.port}`,
    dynamodb: `http://127.0.0.1:${dynamodb.port}`,
    control: `http://127.0.0.1:${control.port}`,
  }),
);
