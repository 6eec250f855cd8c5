import type { Part } from "../models/weights.ts";

/** A file that a process maps, from proc_pid_maps(5). */
export type Mapping = {
  /** `device inode` as printed by the kernel. Identifies the file independently of its name. */
  identity: string;
  path: string;
  /** Address range of the first mapping. It is also the name of the mapping's entry in `/proc/PID/map_files`. */
  range: string;
  executable: boolean;
  /**
   * Large mappings that do not start at the beginning of the file. If the file is an archive, such a mapping
   * may hold a model.
   */
  parts?: Part[];
};

/** Minimum size in bytes of a mapping that may hold a model. */
const PART_BYTES_MIN = 1024 * 1024;
/** Maximum number of parts kept per file, largest first. Journals and databases are mapped in many parts. */
export const PARTS_MAX = 32;

/** Positions of the execute permission and of the file offset, counted from the first space in a line. */
const EXECUTE_AT = 3;
const OFFSET_AT = 6;

/**
 * Parses proc_pid_maps(5) into one entry per mapped file. `executable` is true if any mapping of the file is
 * executable. The mappings of a file are adjacent, so most lines repeat the previous path. The parser
 * allocates no string for these lines.
 */
export function parseMaps(text: string): Mapping[] {
  const files = new Map<string, Mapping>();
  let last: Mapping | undefined;
  let start = 0;
  for (;;) {
    const slash = text.indexOf("/", start);
    if (slash < 0) break;
    const line = text.lastIndexOf("\n", slash) + 1;
    const newline = text.indexOf("\n", slash);
    const end = newline < 0 ? text.length : newline;
    if (last && end - slash === last.path.length && text.startsWith(last.path, slash)) {
      // Line format: `start-end rwxp offset`. The execute permission is the third letter after the first
      // space.
      const space = text.indexOf(" ", line);
      last.executable ||= text[space + EXECUTE_AT] === "x";
      if (mayBePart(text, line, space))
        addPart(last, text.slice(line, space), text.slice(space + OFFSET_AT, slash));
    } else last = readMapping(text, line, end, files) ?? last;
    start = end + 1;
  }
  return [...files.values()];
}

/** Cache of parsed line ends, such as `08:01 12345  /usr/lib/libc.so.6`. Most processes map the same libraries. */
const parsedEnds = new Map<string, { identity: string; path: string }>();
const PARSED_ENDS_MAX = 4096;

const copyOf = (text: string): string => Buffer.from(text).toString();

const NO_OFFSET = "00000000 ";
/** Number of hexadecimal digits of a length below {@link PART_BYTES_MIN}. */
const SMALL_DIGITS = 5;
const END = /^([0-9a-f]+:[0-9a-f]+ \d+) +(\/.*)$/s;

/** Parses a line `start-end rwxp offset device inode path` and adds it to the file's entry. */
function readMapping(
  text: string,
  line: number,
  end: number,
  files: Map<string, Mapping>,
): Mapping | undefined {
  const space = text.indexOf(" ", line);
  const offsetEnd = text.indexOf(" ", space + OFFSET_AT);
  if (space < 0 || offsetEnd < 0 || offsetEnd > end) return undefined;
  const parsed = parseEnd(text.slice(offsetEnd + 1, end));
  if (!parsed) return undefined;
  const { identity, path } = parsed;
  const range = text.slice(line, space);
  let file = files.get(identity);
  if (!file) {
    file = { identity, path, range, executable: false };
    files.set(identity, file);
  }
  file.executable ||= text[space + EXECUTE_AT] === "x";
  if (!text.startsWith(NO_OFFSET, space + OFFSET_AT))
    addPart(file, range, text.slice(space + OFFSET_AT, offsetEnd));
  return file;
}

function parseEnd(end: string): { identity: string; path: string } | undefined {
  const known = parsedEnds.get(end);
  if (known) return known;
  const [, identity, path] = END.exec(end) ?? [];
  if (identity === undefined || path === undefined) return undefined;
  if (parsedEnds.size >= PARSED_ENDS_MAX) parsedEnds.clear();
  // Copy the strings, because a slice keeps the whole text in memory.
  const parsed = { identity: copyOf(identity), path: copyOf(path) };
  parsedEnds.set(copyOf(end), parsed);
  return parsed;
}

/**
 * Cheap check that parses no numbers. False if the mapping starts at the beginning of the file. Also false if
 * the start and end addresses differ only in their last five digits, because such a mapping is small.
 */
function mayBePart(text: string, line: number, space: number): boolean {
  if (text.startsWith(NO_OFFSET, space + OFFSET_AT)) return false;
  const dash = text.indexOf("-", line);
  const shift = dash + 1 - line;
  for (let at = dash - SMALL_DIGITS - 1; at >= line; at -= 1)
    if (text.charCodeAt(at) !== text.charCodeAt(at + shift)) return true;
  return false;
}

/**
 * Adds the mapping as a part of the file if it is large enough. `range` is `start-end`. `offset` may be
 * followed by other text. All numbers are hexadecimal.
 */
function addPart(file: Mapping, range: string, offset: string): void {
  const start = Number.parseInt(offset, 16);
  if (start === 0) return;
  const dash = range.indexOf("-");
  const length = Number.parseInt(range.slice(dash + 1), 16) - Number.parseInt(range.slice(0, dash), 16);
  if (length < PART_BYTES_MIN) return;
  file.parts ??= [];
  file.parts.push({ offset: start, length });
  if (file.parts.length <= PARTS_MAX) return;
  const smallest = file.parts.reduce((least, part) => (part.length < least.length ? part : least));
  file.parts.splice(file.parts.indexOf(smallest), 1);
}
