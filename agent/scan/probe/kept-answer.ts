import type { CatalogEntry } from "../../catalogue/entry.ts";
import type { Answer } from "../../catalogue/http-answer.ts";
import { judge, MODELS_PATH } from "../../catalogue/judge.ts";
import { type Examined, examine } from "../../catalogue/match.ts";

export const KEPT_LIMITS = {
  /**
   * Maximum size of kept JSON in estimated bytes. The first limit is for one listener, the second for all
   * listeners that are being probed.
   */
  LISTENER_BYTES_MAX: 512 * 1024,
  BYTES_MAX: 6 * 1024 * 1024,
  /** Maximum number of JSON values parsed in one response. Enough for 400 models with 30 fields each. */
  TOKENS_MAX: 12_288,
  TEXT_LENGTH_MAX: 1024,
  /**
   * Number of bytes read between two forced garbage collections. Otherwise the garbage collector would run
   * only when much more memory is in use.
   */
  GARBAGE_BYTES_MAX: 8 * 1024 * 1024,
  DEPTH_MAX: 8,
  HEADER_LENGTH_MAX: 256,
} as const;

/** Memory overhead of one JSON value in bytes, without its text. */
const VALUE_BYTES = 48;

/** Maximum amount of garbage in bytes from decompressing one body. */
const CODED_BYTES = 2 * 1024 * 1024;

/** A byte budget shared by several probes. */
export type ByteBudget = {
  take(bytes: number): boolean;
  release(bytes: number): void;
  /** Counts bytes that were read and discarded. */
  dropped(bytes: number): void;
};

export function createByteBudget(
  limit: number = KEPT_LIMITS.BYTES_MAX,
  collectGarbage: () => void = () => Bun.gc(true),
): ByteBudget {
  let used = 0;
  let garbage = 0;
  return {
    dropped: (bytes) => {
      garbage += bytes;
      if (garbage < KEPT_LIMITS.GARBAGE_BYTES_MAX) return;
      garbage = 0;
      collectGarbage();
    },
    take: (bytes) => {
      if (used + bytes > limit) return false;
      used += bytes;
      return true;
    },
    release: (bytes) => {
      used -= bytes;
    },
  };
}

/** Keeps those parts of one listener's responses that are needed to match traits. */
export type Keeper = {
  keep(path: string, answer: Answer): Examined;
  /**
   * Moves the kept JSON to the memory budget for sessions that wait for their next attempt. If that budget is
   * full, drops the JSON and calls `lost` with each affected path.
   */
  park(waiting: ByteBudget, lost: (path: string) => void): void;
  /** Returns this listener's share of the memory budgets. The responses must not be read afterwards. */
  close(): void;
};

/**
 * When a response arrives, matches it against all traits and drops its body. A hostile server can return
 * dense JSON on every path, which uses fifty times its size in memory. Truncated JSON is kept only for paths
 * with a version or a model list, within the memory budgets.
 */
export function createKeeper(catalogue: readonly CatalogEntry[], shared: ByteBudget): Keeper {
  const { json: jsonPaths, headers: headerNames, bodies } = neededIn(catalogue);
  let heldBytes = 0;
  let parked: { in: ByteBudget; bytes: number } | undefined;
  const held = new Map<string, Examined>();
  return {
    keep: (path, answer) => {
      const { body, tokens } = withoutDensity(answer.body);
      const { json } = examine({ ...answer, body });
      const examined: Examined = { ...answer, json };
      // Matches the traits now, while the body is available. Later calls of judge() use only the cached
      // matches.
      judge(catalogue, new Map([[path, examined]]));
      const leftBytes = KEPT_LIMITS.LISTENER_BYTES_MAX - heldBytes - (parked?.bytes ?? 0);
      const { value, bytes } = pruned(jsonPaths.has(path) ? json : undefined, leftBytes);
      const isKept = shared.take(bytes);
      if (isKept) heldBytes += bytes;
      if (isKept && bytes > 0) held.set(path, examined);
      examined.json = isKept ? value : undefined;
      examined.body = bodies.has(path) ? copyOf(examined.body) : "";
      examined.headers = neededHeaders(examined.headers, headerNames);
      const coded = answer.headers["content-encoding"] === undefined ? 0 : CODED_BYTES;
      shared.dropped(2 * answer.body.length + 2 * VALUE_BYTES * tokens + coded);
      return examined;
    },
    park: (waiting, lost) => {
      const bytes = heldBytes + (parked?.bytes ?? 0);
      parked?.in.release(parked.bytes);
      shared.release(heldBytes);
      heldBytes = 0;
      const isTaken = waiting.take(bytes);
      parked = isTaken ? { in: waiting, bytes } : undefined;
      if (isTaken) return;
      for (const [path, examined] of held) {
        examined.json = undefined;
        lost(path);
      }
      held.clear();
    },
    close: () => {
      shared.release(heldBytes);
      parked?.in.release(parked.bytes);
      parked = undefined;
      heldBytes = 0;
    },
  };
}

type Needed = { json: ReadonlySet<string>; bodies: ReadonlySet<string>; headers: ReadonlySet<string> };
const needed = new WeakMap<readonly CatalogEntry[], Needed>();

/** Parts of responses that are still needed after the traits are matched. */
function neededIn(catalogue: readonly CatalogEntry[]): Needed {
  const known = needed.get(catalogue);
  if (known) return known;
  const versions = catalogue.flatMap(({ version = [] }) => version);
  const lists = catalogue.flatMap(({ models = [] }) => models);
  const made = {
    json: new Set([MODELS_PATH, ...versions.map(({ path }) => path), ...lists.map(({ path }) => path)]),
    bodies: new Set(versions.filter(({ at }) => at === "body").map(({ path }) => path)),
    headers: new Set([
      "content-type",
      "server",
      "www-authenticate",
      ...versions.flatMap(({ at }) => (at.startsWith("header:") ? [at.slice("header:".length)] : [])),
    ]),
  };
  needed.set(catalogue, made);
  return made;
}

function neededHeaders(headers: Examined["headers"], names: ReadonlySet<string>): Examined["headers"] {
  const kept: Record<string, string> = {};
  for (const name of names)
    if (headers[name] !== undefined) kept[name] = copyOf(headers[name], KEPT_LIMITS.HEADER_LENGTH_MAX);
  return kept;
}

/** Copies a substring, because a slice would keep the whole original string in memory. */
const copyOf = (text: string, lengthMax: number = KEPT_LIMITS.TEXT_LENGTH_MAX): string =>
  Buffer.from(text.slice(0, lengthMax)).toString();

/**
 * Truncates JSON text after {@link KEPT_LIMITS.TOKENS_MAX} values. Returns the text and its number of values.
 * Text that is not JSON stays unchanged.
 */
export function withoutDensity(body: string): { body: string; tokens: number } {
  if (!/^\s*[[{]/.test(body)) return { body, tokens: 0 };
  let tokens = 0;
  for (let at = 0; at < body.length; at += 1) {
    const code = body.charCodeAt(at);
    // `[`, `{` and `,` precede a value.
    if (code !== 0x5b && code !== 0x7b && code !== 0x2c) continue;
    tokens += 1;
    if (tokens > KEPT_LIMITS.TOKENS_MAX) return { body: body.slice(0, at), tokens };
  }
  return { body, tokens };
}

/**
 * Copies JSON up to an estimated size of `bytesMax` in memory. Truncates long strings, drops deeply nested
 * values, and keeps earlier values rather than later ones. Returns the copy and its estimated size.
 */
export function pruned(json: unknown, bytesMax: number): { value: unknown; bytes: number } {
  if (json === undefined || bytesMax < VALUE_BYTES) return { value: undefined, bytes: 0 };
  let bytes = 0;
  const copy = (value: unknown, depth: number): unknown => {
    bytes += VALUE_BYTES;
    if (typeof value === "string") {
      const text = value.length > KEPT_LIMITS.TEXT_LENGTH_MAX ? copyOf(value) : value;
      bytes += text.length;
      return text;
    }
    if (typeof value !== "object" || value === null) return value;
    const isList = Array.isArray(value);
    const made: unknown[] | Record<string, unknown> = isList ? [] : {};
    if (depth > KEPT_LIMITS.DEPTH_MAX) return made;
    for (const [key, item] of Object.entries(value)) {
      if (bytes + VALUE_BYTES + KEPT_LIMITS.TEXT_LENGTH_MAX > bytesMax) break;
      if (!isList) bytes += Math.min(key.length, KEPT_LIMITS.TEXT_LENGTH_MAX);
      if (isList || key.length <= KEPT_LIMITS.TEXT_LENGTH_MAX)
        (made as Record<string, unknown>)[key] = copy(item, depth + 1);
    }
    return made;
  };
  return { value: copy(json, 0), bytes };
}
