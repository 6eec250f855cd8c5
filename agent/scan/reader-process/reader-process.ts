import { writeSync } from "node:fs";
import { createMemory } from "../../platform/trim-memory.ts";
import { type ReadRequest, SIGN } from "../reader/read-request.ts";
import { type Files, realFiles } from "../system/files.ts";
import { createReads } from "./perform-reads.ts";

/** Minimum interval between two liveness signals. A signal is sent before a file operation. */
const SIGN_EVERY_MS = 200;

/**
 * Main loop of the reader, a child process that reads files for the agent. A file system that does not
 * respond blocks only this process. Requests are JSON lines on standard input. Responses are JSON lines on
 * standard output, in the order of the requests. Returns when standard input is closed.
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
  // Most of the reader's memory is code that is needed only when the reader starts.
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

/** Wraps file operations so that each one first sends a liveness signal. */
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
