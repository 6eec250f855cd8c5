import type { Authority } from "../../shared/authority/read-authority.ts";
import type { Log } from "../../shared/observability/log.ts";
import type { Dynamo } from "../../shared/table/dynamo.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import type { Clock } from "../../shared/time/clock.ts";
import type { Metrics } from "./metrics.ts";

/** What every part of the worker needs of the world. */
export type PlatformDeps = {
  clock: Clock;
  log: Log;
  dynamo: Dynamo;
  table: string;
  /** Reads items that grant or decide, and checks who signed them. */
  authority: Authority;
  metrics: Metrics;
  /** Waits before round `round` of something that lost a race or was throttled: longer each time, with jitter. */
  pause: (round: number) => Promise<void>;
  tenant: (tenantId: string) => Promise<TenantItem>;
};
