/** Counters and gauges of one worker, for the log and for `/metrics`. */
export type Metrics = {
  count(name: CounterName, by?: number): void;
  gauge(name: GaugeName, value: number): void;
  read(): Record<string, number>;
};

const COUNTERS = {
  heartbeats_total: "Number of settled heartbeats",
  heartbeats_unchanged_total: "Number of heartbeats that added nothing to the table",
  heartbeats_failed_total: "Number of heartbeats that failed and are delivered again",
  reports_unsigned_total:
    "Number of containment reports that were ignored, because the device key's signature was missing or invalid",
  authority_refused_total:
    "Number of reads of an item with a missing or invalid signature. Each is a security event",
  signature_faults_total: "Number of faults that signature audits found. Each is a security event",
  messages_received_total: "Number of received messages",
  messages_buried_total: "Number of messages and heartbeats sent to the dead-letter queue",
  messages_extended_total: "Number of messages whose visibility timeout was extended",
  messages_held_total: "Number of messages held for a retry because the table or the queue was unavailable",
  table_outages_total:
    "Number of outages of the table. Each lasts from the first failed call to a successful probe",
  receives_failed_total: "Number of receives that failed or timed out",
  adjudications_total: "Number of requests to the language model",
  adjudications_cached_total: "Number of verdicts of the language model that came from the cache",
  adjudications_unavailable_total: "Number of requests to the language model without a usable response",
  reviews_applied_total: "Number of LLM reviews whose verdict was added to a recorded state",
  reviews_dropped_total:
    "Number of LLM reviews given up after all attempts, because of their age, or because of the daily limit",
  webhooks_delivered_total: "Number of webhook deliveries that succeeded",
  webhooks_failed_total: "Number of delivery attempts to webhooks that failed",
  webhooks_deferred_total: "Number of webhook deliveries deferred because no slot was available",
  webhooks_dead_total: "Number of webhook deliveries given up after all attempts",
  forwards_faulted_total: "Number of errors while reading or writing the webhook outbox",
} as const;
const GAUGES = {
  queue_age_seconds: "Age of the oldest message in the last receive, in seconds. Add workers if it grows",
  lag_seconds: "Longest time between sentAt and settlement of a heartbeat in the last batch, in seconds",
  in_flight_messages: "Number of messages that are received and not settled",
  in_flight_bytes: "Estimated bytes of the messages in flight after decompression",
  table_away: "1 while the table is unavailable and receiving is paused, else 0",
  dead_letters: "Number of messages in the dead-letter queue",
  webhooks_behind_seconds: "Longest delay of a due event at the last read of an outbox, in seconds",
  last_poll_seconds: "Unix time of the last successful receive",
} as const;
type CounterName = keyof typeof COUNTERS;
type GaugeName = keyof typeof GAUGES;

export function createMetrics(): Metrics {
  const values = new Map<string, number>(Object.keys(COUNTERS).map((name) => [name, 0]));
  return {
    count: (name, by = 1) => void values.set(name, (values.get(name) ?? 0) + by),
    gauge: (name, value) => void values.set(name, value),
    read: () => Object.fromEntries(values),
  };
}

/** Formats the metrics in the Prometheus text exposition format 0.0.4. */
export function exposition(metrics: Metrics): string {
  const read = metrics.read();
  const lines = (names: Record<string, string>, type: string) =>
    Object.entries(names).flatMap(([name, help]) =>
      read[name] === undefined
        ? []
        : [
            `# HELP lz_worker_${name} ${help}`,
            `# TYPE lz_worker_${name} ${type}`,
            `lz_worker_${name} ${read[name]}`,
          ],
    );
  return `${[...lines(COUNTERS, "counter"), ...lines(GAUGES, "gauge")].join("\n")}\n`;
}
