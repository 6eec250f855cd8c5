/** Commands of the generator process: one JSON object per line of stdin, with the result on stdout. */
export type Steady = {
  is: "closed" | "open";
  port: number;
  seconds: number;
  connections: number;
  /** Requests per second; open loop only. */
  perSecond: number;
  /** Continues after `seconds` until this many requests were sent; closed loop only. */
  requestsMin: number;
  assets: number;
  edgeSecret: string;
};

/** Makes a fleet and sends the first heartbeat of every asset. The following {@link Fleet} uses it. */
export type Ramp = {
  is: "ramp";
  port: number;
  connections: number;
  perSecond: number;
  edgeSecret: string;
  tenants: { tenantId: string; assets: number }[];
  /** Share of assets with an engine open to the network. */
  risky: number;
  /** Path of the journal: one line `{tenantId, assetId, at, change, accepted}` per heartbeat. */
  journal: string;
};

export type Fleet = {
  is: "fleet";
  seconds: number;
  intervalMs: number;
  /** Shares of heartbeats with a new state, and of heartbeats that are sent twice. */
  changed: number;
  resent: number;
};

export type Command = Steady | Ramp | Fleet;

export type Latency = { p50Ms: number; p95Ms: number; p99Ms: number; maxMs: number };

export type Measured = {
  sent: number;
  /** Number of responses by status; `none` counts requests without a response. */
  statuses: Record<string, number>;
  seconds: number;
  /** Accepted requests per second of a closed or open loop; sent requests per second of a fleet. */
  perSecond: number;
  /** Latency of all requests. */
  latency: Latency;
  /** CPU of the generator itself, as a share of one core. */
  generatorCpu: number;
};

/** `distinct` counts a heartbeat that was sent twice once. */
export type FleetMeasured = Measured & { distinct: number; accepted: number; changes: number };
