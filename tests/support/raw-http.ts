import { connect } from "node:net";

/** Sends these bytes over a socket of their own, and gives all that was answered until `ms` passed without a byte. */
export function sendRaw(url: string, bytes: string, ms = 5000): Promise<string> {
  const { hostname, port } = new URL(url);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let answered = "";
  const socket = connect(Number(port), hostname, () => socket.write(bytes, "latin1"));
  socket.setTimeout(ms, () => socket.destroy());
  socket.on("data", (part) => {
    answered += part.toString("latin1");
  });
  socket.on("error", reject);
  socket.on("close", () => resolve(answered));
  return promise;
}

/** Status of each answer. */
export const statusesOf = (answered: string): number[] =>
  [...answered.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status));
