/** Counters and gauges of one worker: for the log, and for whoever scrapes `/metrics`. */
export type Metrics = {
  count(name: CounterName, by?: number): void;
  gauge(name: GaugeName, value: number): void;
  read(): Record<string, number>;
};

const COUNTERS = {
  heartbeats_total: "Heartbeats settled",
  heartbeats_unchanged_total: "Heartbeats that added nothing to the table",
  heartbeats_failed_total: "Heartbeats whose message has to come again",
  reports_unsigned_total: "Containment reports that the device key did not sign: nothing was taken from them",
  authority_refused_total: "Reads of an item whose signature is missing or wrong: a security event",
  signature_faults_total: "Faults that checks of all signatures of a tenant found: a security event",
  messages_received_total: "Messages received",
  messages_buried_total: "Messages and heartbeats set aside for good",
  messages_extended_total: "Messages kept invisible for longer",
  messages_held_total:
    "Messages kept in hand for another try because the table or the queue refused the work",
  table_outages_total: "Outages of the table, each from the first failed call to an answered probe",
  receives_failed_total: "Receives that failed or hung",
  adjudications_total: "Questions put to the language model",
  adjudications_cached_total: "Answers that were known",
  adjudications_unavailable_total: "Questions that got no answer",
  reviews_applied_total: "Verdicts of the language model that were added to a recorded state",
  reviews_dropped_total:
    "Recorded states that stay without a verdict: no answer in all tries, too old, or no budget",
  webhooks_delivered_total: "Webhook deliveries",
  webhooks_failed_total: "Webhook attempts that failed",
  webhooks_deferred_total: "Webhook deliveries put off because their receiver or its tenant had no free slot",
  webhooks_dead_total: "Webhook deliveries given up",
  forwards_faulted_total: "Looks for due webhooks that failed on our own side",
} as const;
const GAUGES = {
  queue_age_seconds: "Longest a message of the last receive had waited: scale out when it grows",
  lag_seconds: "Longest from sentAt to settled in the last batch",
  in_flight_messages: "Messages received and not settled",
  in_flight_bytes: "Bytes of them, as they open",
  table_away: "1 while the table does not answer and nothing is received, else 0",
  dead_letters: "Messages in the dead-letter queue",
  webhooks_behind_seconds: "Longest an event had been due when it was last looked for",
  last_poll_seconds: "Unix time of the last receive that succeeded",
} as const;
export type CounterName = keyof typeof COUNTERS;
export type GaugeName = keyof typeof GAUGES;

export function createMetrics(): Metrics {
  const values = new Map<string, number>(Object.keys(COUNTERS).map((name) => [name, 0]));
  return {
    count: (name, by = 1) => void values.set(name, (values.get(name) ?? 0) + by),
    gauge: (name, value) => void values.set(name, value),
    read: () => Object.fromEntries(values),
  };
}

/** Prometheus text exposition format 0.0.4. */
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
