import type { Clock } from "../time/clock.ts";
import { messageOf } from "./error-message.ts";

type Level = "debug" | "info" | "warn" | "error";

/**
 * Writes a structured log line. Never pass it a body, key, token or signature. For an Error, only the name
 * and message are logged.
 */
export type Log = (level: Level, event: string, fields?: Record<string, unknown>) => void;

/** Logs one JSON object per line. `write` receives the line without a line break. */
export function createLog(stage: string, clock: Clock, write: (line: string) => void): Log {
  return (level, event, fields = {}) => {
    const plain: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(fields))
      plain[name] = value instanceof Error ? causes(value) : value;
    write(JSON.stringify({ at: new Date(clock()).toISOString(), level, stage, event, ...plain }));
  };
}

function causes(error: Error): string {
  const own = `${error.name}: ${messageOf(error, "no message")}`;
  return error.cause instanceof Error ? `${own}; caused by ${causes(error.cause)}` : own;
}
