import { type Answer, parseAnswer, requestText } from "./http.ts";
import { type Namespaces, type NetworkSpace, noNamespaces } from "./namespaces.ts";

export const PROBE_LIMITS = {
  TIMEOUT_MS: 800,
  BODY_BYTES_MAX: 64 * 1024,
  /** A gateway in front of a hosted catalogue lists hundreds of models. */
  MODELS_BYTES_MAX: 256 * 1024,
  IN_FLIGHT_MAX: 16,
} as const;

/** `inside`: the connection has to start in this network namespace. */
export type Target = { address: string; port: number; tls: boolean; inside?: NetworkSpace };

/**
 * What a GET came to. `silent`: connected, then nothing in time. `tls`: it wants TLS first. `not-http`: it
 * speaks something else. `refused`: no connection.
 */
export type ProbeResult = Answer | { failed: "refused" | "silent" | "not-http" | "tls" };

export type Probe = (
  target: Target,
  path: string,
  options?: { signal?: AbortSignal | undefined; bodyBytesMax?: number; timeoutMs?: number },
) => Promise<ProbeResult>;

/**
 * GET over a socket of our own rather than `fetch`: no proxy from the environment, no redirect, no
 * decompression without a limit, no connection kept, and what is not HTTP stays recognisable. A self-signed certificate is
 * accepted: nothing secret is sent, and what answers is what is being asked about.
 */
export function createProbe(
  timeoutMs: number = PROBE_LIMITS.TIMEOUT_MS,
  namespaces: Pick<Namespaces, "within"> = noNamespaces,
): Probe {
  let inFlight = 0;
  const waiting: (() => void)[] = [];

  return async (target, path, options = {}) => {
    if (inFlight >= PROBE_LIMITS.IN_FLIGHT_MAX) await new Promise<void>((resolve) => waiting.push(resolve));
    if (options.signal?.aborted) {
      waiting.shift()?.();
      return { failed: "silent" };
    }
    inFlight += 1;
    try {
      return await exchange(
        target,
        path,
        options.bodyBytesMax ?? PROBE_LIMITS.BODY_BYTES_MAX,
        options.timeoutMs ?? timeoutMs,
        options.signal,
        namespaces,
      );
    } finally {
      inFlight -= 1;
      waiting.shift()?.();
    }
  };
}

function exchange(
  target: Target,
  path: string,
  bodyBytesMax: number,
  timeoutMs: number,
  signal: AbortSignal | undefined,
  namespaces: Pick<Namespaces, "within">,
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const buffer = createBuffer();
    let received: Uint8Array = buffer.bytes();
    let socket: { end(): unknown; terminate(): unknown } | undefined;
    let settled = false;
    const settle = (result: ProbeResult) => {
      // Ending the socket calls its handlers once more.
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal?.removeEventListener("abort", giveUp);
      socket?.terminate();
      resolve(result);
    };
    // A stream without end still has its headers and what came so far.
    const giveUp = () => {
      const parsed = parseAnswer(received, true, bodyBytesMax);
      settle(received.length > 0 && parsed.state === "complete" ? parsed.answer : { failed: "silent" });
    };
    const timer = setTimeout(giveUp, timeoutMs);
    signal?.addEventListener("abort", giveUp, { once: true });
    const look = (ended: boolean) => {
      if (settled) return;
      const parsed = parseAnswer(received, ended, bodyBytesMax);
      if (parsed.state === "complete") settle(parsed.answer);
      else if (parsed.state === "not-http")
        settle({ failed: parsed.tlsAlert && !target.tls ? "tls" : "not-http" });
    };
    const host = hostOf(target);
    const greet = (opened: { write(text: string): unknown }) => opened.write(requestText(host, path));
    begin(target, namespaces, {
      hostname: target.address,
      port: target.port,
      ...(target.tls && { tls: { rejectUnauthorized: false } }),
      socket: {
        open: (opened) => {
          socket = opened;
          if (!target.tls) greet(opened);
        },
        handshake: (opened) => {
          if (target.tls) greet(opened);
        },
        data: (_, chunk) => {
          received = buffer.append(chunk);
          look(false);
        },
        end: () => look(true),
        close: () => look(true),
        error: () => settle({ failed: "not-http" }),
        connectError: () => settle({ failed: "refused" }),
      },
    }).catch(() => settle({ failed: "refused" }));
  });
}

/** Host of the request (RFC 9110 §7.2), which has no zone: that is this host's own name for an interface. */
export function hostOf({ address, port }: Pick<Target, "address" | "port">): string {
  const plain = address.replace(/%.*$/, "");
  return `${plain.includes(":") ? `[${plain}]` : plain}:${port}`;
}

/** For an address in digits Bun makes the socket at once, in the namespace this thread is in. */
async function begin(
  { inside }: Target,
  namespaces: Pick<Namespaces, "within">,
  options: Bun.TCPSocketConnectOptions,
): Promise<unknown> {
  return inside ? namespaces.within(inside, () => Bun.connect(options)) : Bun.connect(options);
}

/** Bytes in the order of their arrival, in one piece. Doubling its size copies each byte about once. */
function createBuffer(): { bytes(): Uint8Array; append(chunk: Uint8Array): Uint8Array } {
  let whole = new Uint8Array(0);
  let length = 0;
  const bytes = (): Uint8Array => whole.subarray(0, length);
  return {
    bytes,
    append: (chunk) => {
      if (length + chunk.length > whole.length) {
        const larger = new Uint8Array(Math.max(length + chunk.length, 2 * whole.length));
        larger.set(bytes());
        whole = larger;
      }
      whole.set(chunk, length);
      length += chunk.length;
      return bytes();
    },
  };
}
