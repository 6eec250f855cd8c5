/**
 * Commands of the load generator's process. Each command is one JSON object per line of stdin. Its result
 * goes to stdout.
 */
export type Steady = {
  is: "closed" | "open";
  port: number;
  seconds: number;
  connections: number;
  /** Requests per second. For the open loop only. */
  perSecond: number;
  /**
   * Minimum number of requests. The measurement continues after `seconds` until it is reached. For the closed
   * loop only.
   */
  requestsMin: number;
  assets: number;
  edgeSecret: string;
};

/** Creates a fleet and sends the first heartbeat of every asset. The next {@link Fleet} command uses this fleet. */
export type Ramp = {
  is: "ramp";
  port: number;
  connections: number;
  perSecond: number;
  edgeSecret: string;
  tenants: { tenantId: string; assets: number }[];
  /** Share of assets with an engine that is open to the network. */
  risky: number;
  /** Path of the journal. It has one line `{tenantId, assetId, at, change, accepted}` per heartbeat. */
  journal: string;
};

export type Fleet = {
  is: "fleet";
  seconds: number;
  intervalMs: number;
  /** Share of heartbeats with a new state, and share of heartbeats that are sent twice. */
  changed: number;
  resent: number;
};

export type Command = Steady | Ramp | Fleet;

export type Latency = { p50Ms: number; p95Ms: number; p99Ms: number; maxMs: number };

export type Measured = {
  sent: number;
  /** Number of responses by status. `none`: number of requests without a response. */
  statuses: Record<string, number>;
  seconds: number;
  /** Accepted requests per second (closed or open loop), or sent requests per second (fleet). */
  perSecond: number;
  /** Latency over all requests. */
  latency: Latency;
  /** CPU time of the generator itself, as a share of one core. */
  generatorCpu: number;
};

/** `distinct`: number of heartbeats, where a heartbeat that was sent twice counts once. */
export type FleetMeasured = Measured & { distinct: number; accepted: number; changes: number };
