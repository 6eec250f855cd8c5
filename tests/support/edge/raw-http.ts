import { connect } from "node:net";

/**
 * Sends these bytes over a socket of their own. Gives what came back until the other side ended the connection, or
 * until nothing came within `silenceMs`.
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

/** Status of each answer. */
export const statusesOf = (answered: string): number[] =>
  [...answered.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status));
