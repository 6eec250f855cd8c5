import type { Part } from "../models/weights.ts";

/** A file in a process's memory, from proc_pid_maps(5). */
export type Mapping = {
  /** Device and inode as the kernel prints them: the file, whatever its name. */
  identity: string;
  path: string;
  /** Address range of the first mapping: its name in `/proc/PID/map_files`. */
  range: string;
  executable: boolean;
  /** Where large mappings begin that do not begin with the file: an archive may have a model there. */
  parts?: Part[];
};

/** A smaller mapping holds no model worth looking for. */
const PART_BYTES_MIN = 1024 * 1024;
/** Journals and databases are mapped in many windows. Of more than this the largest are looked at. */
export const PARTS_MAX = 32;

/**
 * Every mapped file once; `executable` when any of its mappings is. The segments of a file follow each other, so
 * most lines repeat the path before them and cost no string of their own.
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
      // `start-end rwxp offset`: the third letter behind the first space.
      const space = text.indexOf(" ", line);
      last.executable ||= text[space + 3] === "x";
      if (mayBePart(text, line, space)) addPart(last, text.slice(line, space), text.slice(space + 6, slash));
    } else last = readMapping(text, line, slash, end, files) ?? last;
    start = end + 1;
  }
  return [...files.values()];
}

const NO_OFFSET = "00000000 ";
/** Hexadecimal digits of what is less than {@link PART_BYTES_MIN}. */
const SMALL_DIGITS = 5;
const MAPPING = /([0-9a-f]+-[0-9a-f]+) ..(.). ([0-9a-f]+) ([0-9a-f]+:[0-9a-f]+ \d+) +(?=\/)/y;

function readMapping(
  text: string,
  line: number,
  slash: number,
  end: number,
  files: Map<string, Mapping>,
): Mapping | undefined {
  MAPPING.lastIndex = line;
  const match = MAPPING.exec(text);
  if (!match) return undefined;
  const [, range, permission, offset, identity] = match;
  let file = files.get(identity!);
  if (!file) {
    file = { identity: identity!, path: text.slice(slash, end), range: range!, executable: false };
    files.set(identity!, file);
  }
  file.executable ||= permission === "x";
  addPart(file, range!, offset!);
  return file;
}

/**
 * Whether a mapping is so large and does not begin with the file, as far as can be told without reading numbers: both
 * addresses of a small one are alike but for their last five digits.
 */
function mayBePart(text: string, line: number, space: number): boolean {
  if (text.startsWith(NO_OFFSET, space + 6)) return false;
  const dash = text.indexOf("-", line);
  const shift = dash + 1 - line;
  for (let at = dash - SMALL_DIGITS - 1; at >= line; at -= 1)
    if (text.charCodeAt(at) !== text.charCodeAt(at + shift)) return true;
  return false;
}

/** `range` is `start-end`, and `offset` may have more behind it; all in hexadecimal. */
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
