import { writeSync } from "node:fs";
import { createMemory } from "../../platform/trim-memory.ts";
import { type ReadRequest, SIGN } from "../reader/read-request.ts";
import { type Files, realFiles } from "../system/files.ts";
import { createReads } from "./perform-reads.ts";

/** A sign of life is written before a file operation when the last one is this long ago. */
const SIGN_EVERY_MS = 200;
/**
 * The reader: a child process that reads files for the agent, because a file system that does not answer blocks the
 * process that reads it. Requests are JSON lines on standard input, answered in order by JSON lines on standard output. Ends with
 * its input.
 */
export async function serveReads(elapsed: () => number): Promise<void> {
  let signedAtMs = elapsed();
  const write = (line: string): void => {
    signedAtMs = elapsed();
    for (let rest = Buffer.from(`${line}\n`); rest.length > 0; ) rest = rest.subarray(writeSync(1, rest));
  };
  const sign = (): void => {
    if (elapsed() - signedAtMs >= SIGN_EVERY_MS) write(SIGN);
  };
  const perform = createReads(signing(realFiles(), sign), sign, elapsed);
  /** The code of its start is most of its memory, and is not needed again. */
  const memory = createMemory({ platform: process.platform, elapsed });
  write(SIGN);
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of Bun.stdin.stream()) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) write(JSON.stringify(perform(JSON.parse(line) as ReadRequest)));
    memory.settle();
  }
}

/** The same files, with a sign of life before each operation. */
function signing(files: Files, sign: () => void): Files {
  const signed = <A extends unknown[], R>(operation: (...args: A) => R) => {
    return (...args: A): R => {
      sign();
      return operation(...args);
    };
  };
  return {
    list: signed(files.list),
    link: signed(files.link),
    text: signed(files.text),
    line: signed(files.line),
    record: signed(files.record),
    bytes: signed(files.bytes),
    facts: signed(files.facts),
  };
}

if (import.meta.main) await serveReads(() => Bun.nanoseconds() / 1e6);
