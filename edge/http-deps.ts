import type { Clock } from "../shared/clock.ts";
import type { Log } from "../shared/log.ts";
import type { Instruments } from "./instruments.ts";

/** What answering needs: a refusal is counted and logged, and may tell the time. */
export type HttpDeps = { clock: Clock; log: Log; instruments: Pick<Instruments, "refused"> };
