import { createServer } from "node:net";

/**
 * Where free ports are looked for: below those that a system lends to outgoing connections (Linux from 32,768,
 * macOS and Windows from 49,152). One of those may be taken by any connection between the look and the use.
 */
const PORT_MIN = 10_000;
const PORTS = 22_000;
const TRIES_MAX = 100;

/** A TCP port of the loopback address that was free a moment ago. Rejects when none is found. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < TRIES_MAX; tried++) {
    const port = PORT_MIN + Math.floor(Math.random() * PORTS);
    if (await isPortFree(port)) return port;
  }
  throw new Error(`no free port among ${TRIES_MAX} of ${PORT_MIN} to ${PORT_MIN + PORTS - 1}`);
}

/** True when nothing listens on that port of the loopback address and we may. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
