import { renameSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { Failure } from "./faults.ts";
import { readFile } from "./read-file.ts";

export type KeyLines = Record<string, string>;

/**
 * Reads `NAME=value` lines, as `lz keys` prints them. Ignores lines with other names. Throws {@link Failure}
 * with the line number if another program could read the line differently, for example with quotes as part of
 * the key.
 */
export function readKeyFile(file: string): KeyLines {
  const text = readFile(file);
  if (text.includes("\0")) throw new Failure(`${file} is not a text file in UTF-8`);
  const lines: KeyLines = {};
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    const wrong = (reason: string) => new Failure(`${file}, line ${index + 1}: ${reason}`);
    if (!/LZ_[A-Z_]+\s*=/.test(line) || line.startsWith("#")) continue;
    const [, name, value] = /^(LZ_[A-Z_]+)=(.*)$/.exec(line) ?? [];
    if (name === undefined)
      throw wrong("expected NAME=value, without export, spaces or anything before the name");
    if (value === undefined || value === "") throw wrong(`${name} has no value`);
    if (/^["'`]|["'`]$/.test(value)) throw wrong(`${name} is quoted: write the value without quotes`);
    if (lines[name] !== undefined) throw wrong(`${name} is set twice: remove one of the two lines`);
    lines[name] = value;
  }
  return lines;
}

/**
 * Replaces lines of the file, appends new ones and keeps all others. The file gets mode 0600. It is replaced
 * as a whole, so an interrupted write leaves the old file.
 */
export function writeKeyFile(file: string, changed: KeyLines): void {
  const left = new Map(Object.entries(changed));
  const kept = readFile(file)
    .replace(/\n$/, "")
    .split("\n")
    .map((line) => {
      const name = /^\s*(LZ_[A-Z_]+)=/.exec(line)?.[1];
      const value = name === undefined ? undefined : left.get(name);
      if (value === undefined) return line;
      left.delete(name!);
      return `${name}=${value}`;
    });
  const added = [...left].map(([name, value]) => `${name}=${value}`);
  const text = `${[...kept, ...added].join("\n")}\n`;
  const next = `${file}.new`;
  writePrivate(next, text);
  renameSync(next, file);
}

/** Writes a new file that only its owner can read. Throws {@link Failure} if the file exists or cannot be written. */
export function writePrivate(file: string, text: string): void {
  try {
    writeFileSync(file, text, { mode: 0o600, flag: "wx" });
  } catch (cause) {
    const isThere = (cause as NodeJS.ErrnoException).code === "EEXIST";
    throw new Failure(
      isThere ? `${file} exists: name another file or remove it first` : `cannot write ${file}`,
      {
        cause,
      },
    );
  }
}

export function needLine(lines: KeyLines, name: string): string {
  const value = lines[name];
  if (value === undefined) throw new Failure(`the file has no ${name}: give the file that lz keys wrote`);
  return value;
}

const okp = { kty: z.literal("OKP"), crv: z.literal("Ed25519"), kid: z.string().min(1), x: z.string() };
export const privateKey = z.object({ ...okp, d: z.string() });
export const publicKeys = z.object({ keys: z.array(z.object(okp)).max(8) });

/**
 * Parses a line of the file as JSON that matches the schema. Throws {@link Failure}. The error contains the
 * line's name, but never its value.
 */
export function readJsonLine<Schema extends z.ZodType>(
  lines: KeyLines,
  name: string,
  schema: Schema,
  what: string,
): z.infer<Schema> {
  try {
    return schema.parse(JSON.parse(needLine(lines, name)));
  } catch (error) {
    throw error instanceof Failure ? error : new Failure(`${name} is not ${what}`);
  }
}
