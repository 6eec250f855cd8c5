import type { Log } from "../../shared/observability/log.ts";
import type { Clock } from "../../shared/time/clock.ts";
import type { Instruments } from "../platform/telemetry.ts";

/** What answering needs: a refusal is counted and logged, and may tell the time. */
export type HttpDeps = { clock: Clock; log: Log; instruments: Pick<Instruments, "refused"> };
