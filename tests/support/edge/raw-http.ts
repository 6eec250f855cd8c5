import { connect } from "node:net";

/**
 * Sends bytes over a new socket. Returns the response bytes received before the connection ends or is silent
 * for `silenceMs` milliseconds.
 */
export function sendRaw(
  url: string,
  bytes: string,
  silenceMs = 5000,
): Promise<{ answered: string; isEnded: boolean }> {
  const { hostname, port } = new URL(url);
  const { promise, resolve, reject } = Promise.withResolvers<{ answered: string; isEnded: boolean }>();
  let answered = "";
  let isEnded = true;
  const socket = connect(Number(port), hostname, () => socket.write(bytes, "latin1"));
  socket.setTimeout(silenceMs, () => {
    isEnded = false;
    socket.destroy();
  });
  socket.on("data", (part) => {
    answered += part.toString("latin1");
  });
  socket.on("error", reject);
  socket.on("close", () => resolve({ answered, isEnded }));
  return promise;
}

/** Returns the status of each response. */
export const statusesOf = (answered: string): number[] =>
  [...answered.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status));
