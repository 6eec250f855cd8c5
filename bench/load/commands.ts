/** What the generator process is told, one JSON object a line on stdin, and answers on stdout. */
export type Steady = {
  is: "closed" | "open";
  port: number;
  seconds: number;
  connections: number;
  /** Requests per second; open loop only. */
  perSecond: number;
  /** Goes on beyond `seconds` until this many were sent; closed loop only. */
  requestsMin: number;
  assets: number;
  edgeSecret: string;
};

/** Makes a fleet and lets every asset report for the first time. The following {@link Fleet} runs it. */
export type Ramp = {
  is: "ramp";
  port: number;
  connections: number;
  perSecond: number;
  edgeSecret: string;
  tenants: { tenantId: string; assets: number }[];
  /** Share of assets with an engine open to the network. */
  risky: number;
  /** Where the list of what was sent goes: `{tenantId, assetId, at, change, accepted}` a line. */
  journal: string;
};

export type Fleet = {
  is: "fleet";
  seconds: number;
  intervalMs: number;
  /** Share of heartbeats that tell a new state, and that are sent twice. */
  changed: number;
  resent: number;
};

export type Command = Steady | Ramp | Fleet;

export type Latency = { p50Ms: number; p95Ms: number; p99Ms: number; maxMs: number };

export type Measured = {
  sent: number;
  /** How often each status was answered; `none` for what was not answered. */
  statuses: Record<string, number>;
  seconds: number;
  /** Accepted ones in the loops for a server, sent ones of a fleet. */
  perSecond: number;
  /** Of everything that was sent. */
  latency: Latency;
  /** CPU of the generator itself, as a share of one core. */
  generatorCpu: number;
};

/** `distinct` leaves out what was sent a second time. */
export type FleetMeasured = Measured & { distinct: number; accepted: number; changes: number };
