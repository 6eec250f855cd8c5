/** Counters and gauges of one worker, for the log and for `/metrics`. */
export type Metrics = {
  count(name: CounterName, by?: number): void;
  gauge(name: GaugeName, value: number): void;
  read(): Record<string, number>;
};

const COUNTERS = {
  heartbeats_total: "Heartbeats settled",
  heartbeats_unchanged_total: "Heartbeats that added nothing to the table",
  heartbeats_failed_total: "Heartbeats that failed: the queue delivers their message again",
  reports_unsigned_total: "Containment reports without a valid signature of the device key: ignored",
  authority_refused_total: "Reads of an item with a missing or invalid signature: a security event",
  signature_faults_total: "Faults found by signature audits: a security event",
  messages_received_total: "Messages received",
  messages_buried_total: "Messages and heartbeats sent to the dead-letter queue",
  messages_extended_total: "Messages whose visibility timeout was extended",
  messages_held_total: "Messages held for a retry because the table or the queue was unavailable",
  table_outages_total: "Outages of the table, each from the first failed call to a successful probe",
  receives_failed_total: "Receives that failed or timed out",
  adjudications_total: "Requests to the language model",
  adjudications_cached_total: "Verdicts of the language model that came from the cache",
  adjudications_unavailable_total: "Requests to the language model without a usable response",
  reviews_applied_total: "LLM reviews whose verdict was added to a recorded state",
  reviews_dropped_total: "LLM reviews given up: no verdict in all attempts, too old, or daily limit reached",
  webhooks_delivered_total: "Webhook deliveries that succeeded",
  webhooks_failed_total: "Webhook attempts that failed",
  webhooks_deferred_total: "Webhook deliveries deferred because no slot was free",
  webhooks_dead_total: "Webhook deliveries given up after all attempts",
  forwards_faulted_total: "Errors while reading or writing the webhook outbox",
} as const;
const GAUGES = {
  queue_age_seconds: "Age of the oldest message in the last receive, in seconds: scale out when it grows",
  lag_seconds: "Longest time from sentAt to settled in the last batch, in seconds",
  in_flight_messages: "Messages received and not settled",
  in_flight_bytes: "Estimated bytes of the messages in flight after decompression",
  table_away: "1 while the table is unavailable and receiving is paused, else 0",
  dead_letters: "Messages in the dead-letter queue",
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
