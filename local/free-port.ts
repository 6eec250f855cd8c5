import { createServer } from "node:net";

/**
 * Where free ports are looked for: below those that a system lends to outgoing connections (Linux from 32,768,
 * macOS and Windows from 49,152). One of those may be taken by any connection between the look and the use.
 */
const PORT_MIN = 10_000;
const BLOCK = 100;
const BLOCKS = 220;

/**
 * Each process looks in a block of its own, from one port to the next: what it gave and nobody listens on yet is given to
 * nobody else.
 */
const block = PORT_MIN + (process.pid % BLOCKS) * BLOCK;
let next = Math.floor(Math.random() * BLOCK);

/** A TCP port of the loopback address that was free a moment ago. Rejects when none is found. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < BLOCK; tried++) {
    const port = block + (next++ % BLOCK);
    if (await isPortFree(port)) return port;
  }
  throw new Error(`no free port among ${block} to ${block + BLOCK - 1}`);
}

/** True when nothing listens on that port of the loopback address and we may. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
