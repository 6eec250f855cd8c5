import type { ContainmentReport, Mode, StopEnginesBy } from "../../../shared/wire/heartbeat.ts";

export type Order = {
  generation: number;
  mode: Mode;
  /** For a release: whether the isolation may have changed anything on the host. */
  wasInForce: boolean;
  /** Of mode `stop-engines`. Absent: they are suspended. */
  stopEnginesBy?: StopEnginesBy | undefined;
  /** Of a look: the last complete one was seconds ago. Names need not be resolved again. */
  isQuick?: boolean;
};

/** What was proven by trying, after an order was carried out. */
export type Proof = {
  outcome: "applied" | "failed";
  /** Words an admin can act on; required with `failed`. With `applied`: what was done, where that says more. */
  reason?: string;
  probes?: NonNullable<ContainmentReport["probes"]>;
  /**
   * Of {@link Enforcer.reassert}: something had been altered since the last look, and was put back. What it was, as
   * `the isolation rules were altered`; absent when all of it was in force. apply-directive.ts counts these: a proof covers the
   * interval since the last one, so repeated repairs fail it.
   */
  repaired?: string;
};

/** Carries out one mode of containment on one system. An order given twice has the effect of one. */
export type Enforcer = {
  apply: (order: Order, signal: AbortSignal) => Promise<Proof>;
  release: (order: Order, signal: AbortSignal) => Promise<Proof>;
  /** Puts back what was altered since; called now and then while isolated, and after a restart. */
  reassert: (order: Order, signal: AbortSignal) => Promise<Proof>;
};

/** True when `GET /healthz` of the control plane answered over a new connection just now. */
export type ReachControlPlane = (signal: AbortSignal) => Promise<boolean>;
