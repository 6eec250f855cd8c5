import { z } from "zod";
import { Failure } from "./deps.ts";
import { readFile } from "./read-file.ts";

export type KeyLines = Record<string, string>;

/** `NAME=value` lines, as `lz keys` prints them. */
export function readKeyFile(file: string): KeyLines {
  const pairs = readFile(file)
    .split("\n")
    .flatMap((line) => {
      const found = /^(LZ_[A-Z_]+)=(.+)$/.exec(line.trim());
      return found ? [[found[1]!, found[2]!] as const] : [];
    });
  return Object.fromEntries(pairs);
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
