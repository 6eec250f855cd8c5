import type { ContainmentReport, Mode, StopEnginesBy } from "../../../shared/wire/heartbeat.ts";

export type Order = {
  generation: number;
  mode: Mode;
  /** For a release: whether the isolation may have changed the host. */
  wasInForce: boolean;
  /** For mode `stop-engines`. Absent: engines are suspended. */
  stopEnginesBy?: StopEnginesBy | undefined;
  /** For a check: the last complete check was seconds ago, so names are not resolved again. */
  isQuick?: boolean;
};

/** The result of an order, proven by attempts such as connections. */
export type Proof = {
  outcome: "applied" | "failed";
  /** For the administrator. Required with `failed`: what failed. With `applied`: optional detail. */
  reason?: string;
  probes?: NonNullable<ContainmentReport["probes"]>;
  /**
   * For {@link Enforcer.reassert}: what was altered since the last check and is now restored, such as `the isolation
   * rules were altered`. Absent if the isolation was in force. A proof covers the interval since the last one, so repeated
   * repairs make it fail (reassert-isolation.ts).
   */
  repaired?: string;
};

/** Carries out one mode of containment on one system. Orders are idempotent. */
export type Enforcer = {
  apply: (order: Order, signal: AbortSignal) => Promise<Proof>;
  release: (order: Order, signal: AbortSignal) => Promise<Proof>;
  /** Checks the isolation and restores what was altered. Called every few seconds while isolated, and after a start. */
  reassert: (order: Order, signal: AbortSignal) => Promise<Proof>;
};

/** True if the control plane responded to `GET /healthz` over a new connection. */
export type ReachControlPlane = (signal: AbortSignal) => Promise<boolean>;
