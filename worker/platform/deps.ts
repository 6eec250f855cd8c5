import type { Authority } from "../../shared/authority/read-authority.ts";
import type { Log } from "../../shared/observability/log.ts";
import type { Dynamo } from "../../shared/table/dynamo.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import type { Clock } from "../../shared/time/clock.ts";
import type { Metrics } from "./metrics.ts";

/** Dependencies that every part of the worker needs. */
export type PlatformDeps = {
  clock: Clock;
  log: Log;
  dynamo: Dynamo;
  table: string;
  /** Reads signed items and verifies their signatures. */
  authority: Authority;
  metrics: Metrics;
  /** Waits before retry number `round` after a write conflict or throttling, with exponential backoff and jitter. */
  pause: (round: number) => Promise<void>;
  tenant: (tenantId: string) => Promise<TenantItem>;
};
