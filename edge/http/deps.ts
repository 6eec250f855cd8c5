import type { Log } from "../../shared/observability/log.ts";
import type { Clock } from "../../shared/time/clock.ts";
import type { Instruments } from "../platform/telemetry.ts";

/**
 * Dependencies of problem responses. Each refusal is counted and logged, and its response can contain the
 * current time.
 */
export type HttpDeps = { clock: Clock; log: Log; instruments: Pick<Instruments, "refused"> };
