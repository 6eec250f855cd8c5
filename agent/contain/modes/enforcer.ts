import type { ContainmentReport, Mode, StopEnginesBy } from "../../../shared/wire/heartbeat.ts";

export type Order = {
  generation: number;
  mode: Mode;
  /** For a release: whether the isolation may have changed the host. */
  wasInForce: boolean;
  /** Only for mode `stop-engines`. If absent, engines are suspended. */
  stopEnginesBy?: StopEnginesBy | undefined;
  /** For a check: the last complete check was only seconds ago, so this check does not resolve names again. */
  isQuick?: boolean;
};

/** The result of an order, proven by attempts such as connections. */
export type Proof = {
  outcome: "applied" | "failed";
  /** Reason for the administrator. Required with `failed`: says what failed. Optional with `applied`: adds detail. */
  reason?: string;
  probes?: NonNullable<ContainmentReport["probes"]>;
  /**
   * For {@link Enforcer.reassert}: the modification that this check found and restored, such as `the
   * isolation rules were modified`. Absent if nothing was modified. A proof covers the interval since the
   * last proof, so repeated repairs make it fail (reassert-isolation.ts).
   */
  repaired?: string;
};

/** Carries out one mode of containment on one operating system. Orders are idempotent. */
export type Enforcer = {
  apply: (order: Order, signal: AbortSignal) => Promise<Proof>;
  release: (order: Order, signal: AbortSignal) => Promise<Proof>;
  /**
   * Checks the isolation and restores modified parts. Called every few seconds while the host is isolated,
   * and after a start.
   */
  reassert: (order: Order, signal: AbortSignal) => Promise<Proof>;
};

/** True if the control plane responded to `GET /healthz` over a new connection. */
export type ReachControlPlane = (signal: AbortSignal) => Promise<boolean>;
