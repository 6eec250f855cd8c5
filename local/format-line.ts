const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null;

/**
 * Formats a stage's log line for people, for example `edge warn request.refused code=wire.stale`. Undefined
 * for level debug.
 */
export function formatLine(stage: string, line: string): string | undefined {
  const name = stage.padEnd(8);
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return `${name} ${line}`;
  }
  if (!isRecord(parsed) || typeof parsed.event !== "string") return `${name} ${line}`;
  if (parsed.level === "debug") return undefined;
  const { at: _at, level, stage: _stage, event, ...fields } = parsed;
  const rest = Object.entries(fields).map(([key, value]) => `${key}=${shown(value)}`);
  return `${name} ${String(level ?? "info").padEnd(5)} ${event}  ${rest.join(" ")}`.trimEnd();
}

function shown(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.includes(" ") ? JSON.stringify(text) : text;
}
