import type { Answer } from "../../catalogue/http-answer.ts";
import {
  Http2Reader,
  type Http2Request,
  type Http2State,
  http2Request,
  isHttp2Preface,
} from "../http2/http2.ts";
import { type Namespaces, noNamespaces } from "../network/namespaces.ts";
import type { UnixAddress } from "../system/host.ts";
import { createBuffer, hostOf, open, type Target } from "./connection.ts";
import { parseAnswer, requestText } from "./http-client.ts";

export const PROBE_LIMITS = {
  TIMEOUT_MS: 800,
  BODY_BYTES_MAX: 64 * 1024,
  /** Maximum size of a model list in bytes. Gateways to hosted services list hundreds of models. */
  MODELS_BYTES_MAX: 256 * 1024,
  IN_FLIGHT_MAX: 16,
} as const;

/**
 * Result of a GET request.
 *
 * `refused`: no connection. `silent`: connected, but no response before the timeout. `tls`: the server
 * requires TLS. `http2`: the server speaks only HTTP/2. `not-http`: the server speaks another protocol.
 */
export type ProbeResult = Answer | { failed: "refused" | "silent" | "not-http" | "tls" | "http2" };

export type UnixProbe = (unix: UnixAddress, path: string, options?: ProbeOptions) => Promise<ProbeResult>;

export type ProbeOptions = {
  signal?: AbortSignal | undefined;
  bodyBytesMax?: number;
  timeoutMs?: number;
  /** Call a gRPC method with an empty message. The target must speak HTTP/2. */
  grpc?: true;
};

export type Probe = (target: Target, path: string, options?: ProbeOptions) => Promise<ProbeResult>;

/**
 * Creates the function that sends GET requests. It uses plain sockets instead of `fetch`, so that it uses no
 * proxy, follows no redirects, limits decompression, closes each connection, and recognises protocols other
 * than HTTP. Self-signed certificates are accepted, because no secret is sent and the certificate does not
 * affect the result.
 */
export function createProbe(
  timeoutMs: number = PROBE_LIMITS.TIMEOUT_MS,
  namespaces: Pick<Namespaces, "within"> = noNamespaces,
  unixProbe: UnixProbe = async () => ({ failed: "refused" }),
): Probe {
  let inFlight = 0;
  const waiting: (() => void)[] = [];

  return async (target, name, options = {}) => {
    // The path prefix does not apply to gRPC methods.
    const path = options.grpc ? name : `${target.prefix ?? ""}${name}`;
    if (target.unix) return unixProbe(target.unix, path, options);
    if (inFlight >= PROBE_LIMITS.IN_FLIGHT_MAX) await new Promise<void>((resolve) => waiting.push(resolve));
    if (options.signal?.aborted) {
      waiting.shift()?.();
      return { failed: "silent" };
    }
    inFlight += 1;
    try {
      const bodyBytesMax = options.bodyBytesMax ?? PROBE_LIMITS.BODY_BYTES_MAX;
      const grpc = options.grpc ?? false;
      const talk = target.http2
        ? http2Talk({ host: hostOf(target), path, tls: target.tls, grpc, bodyBytesMax })
        : http1Talk(target, path, bodyBytesMax);
      return await exchange(target, talk, { timeoutMs, ...options, namespaces });
    } finally {
      inFlight -= 1;
      waiting.shift()?.();
    }
  };
}

/** One exchange with a server. Contains the request to send, and the functions that read the response. */
type Talk = {
  request: Uint8Array | string;
  /** Parses all bytes received so far. Returns undefined while the response is incomplete. */
  read(received: Uint8Array, ended: boolean): ProbeResult | undefined;
  /** Returns the result after a timeout, from the bytes received so far. */
  cut(received: Uint8Array): ProbeResult;
  /** Returns frames that the protocol requires the client to send before the response is complete. */
  replies(): readonly Uint8Array[];
};

function http1Talk(target: Target, path: string, bodyBytesMax: number): Talk {
  return {
    request: requestText(hostOf(target), path),
    read: (received, ended) => {
      const parsed = parseAnswer(received, ended, bodyBytesMax);
      if (parsed.state === "complete") return parsed.answer;
      if (parsed.state === "incomplete") return undefined;
      if (isHttp2Preface(received)) return { failed: "http2" };
      return { failed: parsed.tlsAlert && !target.tls ? "tls" : "not-http" };
    },
    // Even an endless stream has headers and the start of a body, which can be used.
    cut: (received) => {
      const parsed = parseAnswer(received, true, bodyBytesMax);
      return received.length > 0 && parsed.state === "complete" ? parsed.answer : { failed: "silent" };
    },
    replies: () => [],
  };
}

function http2Talk(request: Http2Request): Talk {
  const reader = new Http2Reader(request);
  const resultOf = (state: Http2State): ProbeResult | undefined => {
    if (state.is === "incomplete") return undefined;
    return state.is === "complete" ? state.answer : { failed: "not-http" };
  };
  return {
    request: http2Request(request),
    read: (received, ended) => resultOf(reader.read(received, ended)),
    cut: () => {
      const state = reader.cut();
      return state.is === "complete" ? state.answer : { failed: "silent" };
    },
    replies: () => reader.takeReplies(),
  };
}

function exchange(
  target: Target,
  talk: Talk,
  {
    timeoutMs,
    signal,
    namespaces,
  }: { timeoutMs: number; signal?: AbortSignal | undefined; namespaces: Pick<Namespaces, "within"> },
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const buffer = createBuffer();
    let received: Uint8Array = buffer.bytes();
    let socket: { write(bytes: Uint8Array): unknown; terminate(): unknown } | undefined;
    let settled = false;
    const settle = (result: ProbeResult) => {
      // terminate() calls the handlers of the socket again.
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal?.removeEventListener("abort", giveUp);
      socket?.terminate();
      resolve(result);
    };
    const giveUp = () => settle(talk.cut(received));
    const timer = setTimeout(giveUp, timeoutMs);
    signal?.addEventListener("abort", giveUp, { once: true });
    let isReady = !target.tls;
    const look = (ended: boolean) => {
      if (settled) return;
      // The peer closed the connection during the handshake. Either it does not speak TLS, or it rejected the
      // client's handshake.
      if (!isReady && ended) return settle({ failed: "tls" });
      const result = talk.read(received, ended);
      if (result) settle(result);
      else for (const reply of talk.replies()) socket?.write(reply);
    };
    const greet = (opened: { write(data: Uint8Array | string): unknown }) => opened.write(talk.request);
    open(target, namespaces, {
      hostname: target.address,
      port: target.port,
      ...(target.tls && {
        tls: { rejectUnauthorized: false, ...(target.http2 && { ALPNProtocols: "\x02h2" }) },
      }),
      socket: {
        open: (opened) => {
          socket = opened;
          if (!target.tls) greet(opened);
        },
        handshake: (opened) => {
          isReady = true;
          if (target.tls) greet(opened);
        },
        data: (_, chunk) => {
          received = buffer.append(chunk);
          look(false);
        },
        end: () => look(true),
        close: () => look(true),
        error: () => settle({ failed: isReady ? "not-http" : "tls" }),
        connectError: () => settle({ failed: "refused" }),
      },
    }).catch(() => settle({ failed: "refused" }));
  });
}
