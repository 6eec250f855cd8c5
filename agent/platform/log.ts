import { type Clock, timestamp } from "../../shared/time/clock.ts";
import { tidy } from "../../shared/wire/text.ts";
import { LOG_EVENTS, type LogEvent } from "./log-events.ts";

const LEVELS = ["debug", "info", "warn", "error"] as const;
export type Level = (typeof LEVELS)[number];
type Fields = Readonly<Record<string, string | number | boolean | undefined>>;
/** Logs one event. Fields must not contain a key, token, signature or request body. */
export type Log = (level: Level, event: LogEvent, fields?: Fields) => void;

const FIELD_CHARACTERS_MAX = 400;

/**
 * Writes one line per event: its name, its message and its fields. Field values can come from the network, so
 * control characters are replaced. A value therefore cannot forge a second line or move a terminal's cursor.
 */
export function createLog(options: {
  write: (line: string) => void;
  clock: Clock;
  format: "text" | "json";
  level: Level;
}): Log {
  const threshold = LEVELS.indexOf(options.level);
  return (level, event, fields = {}) => {
    if (LEVELS.indexOf(level) < threshold) return;
    const at = timestamp(options.clock());
    const message = LOG_EVENTS[event];
    const clean = Object.entries(fields)
      .filter(([, value]) => value !== undefined)
      .map(
        ([name, value]) =>
          [name, typeof value === "string" ? tidy(value, FIELD_CHARACTERS_MAX) : value] as const,
      );
    if (options.format === "json") {
      options.write(
        JSON.stringify({ at, level, stage: "agent", event, message, ...Object.fromEntries(clean) }),
      );
      return;
    }
    const tail = clean.map(
      ([name, value]) => ` ${name}=${/^[\w.:/@-]+$/.test(`${value}`) ? value : JSON.stringify(value)}`,
    );
    options.write(`${at} ${level.padEnd(5)} ${event}: ${message}${tail.join("")}`);
  };
}

export const silent: Log = () => {};
