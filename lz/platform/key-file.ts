import { renameSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { Failure } from "./faults.ts";
import { readFile } from "./read-file.ts";

export type KeyLines = Record<string, string>;

/**
 * `NAME=value` lines, as `lz keys` prints them. Lines of other programs are left alone. Throws {@link Failure} with the
 * number of the line for one that another program would read differently: quotes would become part of a key.
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
    if (lines[name] !== undefined) throw wrong(`${name} is already set above: remove one of the two`);
    lines[name] = value;
  }
  return lines;
}

/**
 * Replaces lines of the file and leaves every other one as it is; new ones go to the end. The file is for its owner
 * only and is replaced as a whole, so an interrupted write leaves the old one.
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

/** Writes a file that only its owner may read. Throws {@link Failure} when it exists or cannot be written. */
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
  if (value === undefined) throw new Failure(`the file has no ${name}`);
  return value;
}

const okp = { kty: z.literal("OKP"), crv: z.literal("Ed25519"), kid: z.string().min(1), x: z.string() };
export const privateKey = z.object({ ...okp, d: z.string() });
export const publicKeys = z.object({ keys: z.array(z.object(okp)).max(8) });

/** A JSON value of the file that fits the schema. Throws {@link Failure} with the name of the line, never its value. */
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
