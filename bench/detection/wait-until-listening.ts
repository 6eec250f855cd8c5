import { connect } from "node:net";

const LOOK_EVERY_MS = 100;

/**
 * Waits until a server listens at the address. Returns false after `msMax` milliseconds, or when `isOver`
 * returns true.
 */
export async function listens(
  host: string,
  port: number,
  msMax: number,
  isOver: () => boolean,
): Promise<boolean> {
  const deadline = performance.now() + msMax;
  while (performance.now() < deadline && !isOver()) {
    if (await accepts(host, port)) return true;
    await Bun.sleep(LOOK_EVERY_MS);
  }
  return false;
}

const accepts = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: host === "0.0.0.0" ? "127.0.0.1" : host, port });
    const end = (isOpen: boolean) => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.once("connect", () => end(true)).once("error", () => end(false));
  });

/** Waits for `ms` milliseconds. Returns false if the program ends before that time. */
export async function staysFor(ms: number, isOver: () => boolean): Promise<boolean> {
  const deadline = performance.now() + ms;
  while (performance.now() < deadline && !isOver()) await Bun.sleep(LOOK_EVERY_MS);
  return !isOver();
}
