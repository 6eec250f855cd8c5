import { createConnection } from "node:net";
import type { Endpoint } from "./firewall.ts";

const TIMEOUT_MS = 1500;

/** `EACCES` is what Windows answers a connection that its own firewall refuses (WSAEACCES). */
export type Attempt = "connected" | "forbidden" | "failed";

/** Opens a TCP connection and nothing more: nothing is sent over it. */
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

/** True when a TCP connection came about within the time. */
export const connects = async (endpoint: Endpoint): Promise<boolean> =>
  (await attempt(endpoint)) === "connected";
