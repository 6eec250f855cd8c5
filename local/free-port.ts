import { createServer } from "node:net";

/**
 * Lowest port to try. The range is below the ephemeral ports, which start at 32,768 on Linux and at 49,152 on
 * macOS and Windows. An outgoing connection could take an ephemeral port between the check and its use.
 */
const PORT_MIN = 10_000;
const BLOCK = 100;
const BLOCKS = 220;

/**
 * First port of this process's own block. Each process tries the ports of its block in turn. Two processes
 * therefore do not return the same port before one of them listens on it.
 */
const block = PORT_MIN + (process.pid % BLOCKS) * BLOCK;
let next = Math.floor(Math.random() * BLOCK);

/** Finds a TCP port on the loopback address that is currently free. Rejects if no port is free. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < BLOCK; tried++) {
    const port = block + (next++ % BLOCK);
    if (await isPortFree(port)) return port;
  }
  throw new Error(`no free port from ${block} to ${block + BLOCK - 1}: stop programs that use them`);
}

/** True if this process can listen on this port of the loopback address. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
