/**
 * Commands of the load generator's process. Each command is one JSON object per line of stdin. The result of
 * a command is written to stdout.
 */
export type Steady = {
  is: "closed" | "open";
  port: number;
  seconds: number;
  connections: number;
  /** Requests per second. Only used in the open loop. */
  perSecond: number;
  /**
   * Minimum number of requests. If this number is not reached within `seconds`, the measurement continues.
   * Only used in the closed loop.
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
  /** Share of assets with an engine that accepts connections from the network. */
  risky: number;
  /** Path of the journal file. The journal has one line `{tenantId, assetId, at, change, accepted}` per heartbeat. */
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

/** `distinct`: number of different heartbeats. A heartbeat that was sent twice counts once. */
export type FleetMeasured = Measured & { distinct: number; accepted: number; changes: number };
