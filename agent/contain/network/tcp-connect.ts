import { createConnection } from "node:net";
import type { Endpoint } from "./firewall.ts";

const TIMEOUT_MS = 1500;

/**
 * Result of a connection attempt. `forbidden`: the host's own firewall refused the connection, which Windows
 * reports as `EACCES` (WSAEACCES).
 */
export type Attempt = "connected" | "forbidden" | "failed";

/** Opens a TCP connection and closes it. Sends no data. */
export function attempt({ address, port }: Endpoint): Promise<Attempt> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: address, port });
    const end = (outcome: Attempt): void => {
      socket.destroy();
      resolve(outcome);
    };
    socket.setTimeout(TIMEOUT_MS, () => end("failed"));
    socket.on("connect", () => end("connected"));
    socket.on("error", (cause: NodeJS.ErrnoException) =>
      end(cause.code === "EACCES" ? "forbidden" : "failed"),
    );
  });
}

/** True if a TCP connection is established before the timeout. */
export const connects = async (endpoint: Endpoint): Promise<boolean> =>
  (await attempt(endpoint)) === "connected";
