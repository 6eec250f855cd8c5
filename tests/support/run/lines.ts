import { createInterface, type Interface } from "node:readline";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";

/** Reads the output of a child process line by line. */
export const linesOf = (output: globalThis.ReadableStream<Uint8Array>): Interface =>
  createInterface({ input: Readable.fromWeb(output as unknown as ReadableStream<Uint8Array>) });
