import { dlopen } from "bun:ffi";
import { closeSync, fstatSync, openSync } from "node:fs";
import type { Answer } from "../../catalogue/http-answer.ts";
import { createNamespaces, type Namespaces } from "../network/namespaces.ts";
import { parseAnswer } from "../probe/http-client.ts";

/*
 * Sends one HTTP request to a unix socket. This code runs in the reader process, because resolving a path
 * that other users control may block for ever. All calls are synchronous. The listening process is verified
 * before any byte is sent.
 */

/** A request to a unix socket. Exactly one of `path` and `abstract` is set. */
export type SocketRequest = {
  path?: string | undefined;
  /** Name in the abstract namespace (unix(7)), without the leading zero byte. */
  abstract?: string | undefined;
  /** Network namespace of an abstract socket. Absent for the agent's own namespace. */
  inside?: { pid: number; name: string } | undefined;
  /** Pids of processes that may have called listen(2) on the socket. */
  pids: readonly number[];
  /** User id that the listening process must have. */
  uid: number;
  /**
   * Milliseconds to wait before the request is sent. A server that sends data during this time does not speak
   * HTTP, so it receives no request.
   */
  quietMs: number;
  /** Bytes of the HTTP request, encoded as latin1. */
  request: string;
  bodyBytesMax: number;
  timeoutMs: number;
};

/**
 * `refused`: the connection failed. `stranger`: an unexpected process listens on the socket. `talks`: the
 * server sent bytes before the request. `silent`: no byte arrived before the timeout. `not-http`: the
 * response is not HTTP.
 */
export type SocketAnswer =
  | { answer: Answer }
  | { failed: "refused" | "stranger" | "talks" | "silent" | "not-http" };

const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 0o2000001;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_RCVTIMEO = 20;
const SO_SNDTIMEO = 21;
const MSG_NOSIGNAL = 0x4000;
/** Size in bytes of the path in sockaddr_un (unix(7)). */
const PATH_BYTES_MAX = 108;
/** Open flag that returns a descriptor of the file without opening it for reading or writing (open(2)). */
const O_PATH = 0o10000000;
/** Maximum wait in milliseconds between two liveness signals. The agent kills a reader that sends none. */
const SLICE_MS = 100;
const CHUNK_BYTES = 64 * 1024;
const HEAD_BYTES = 64 * 1024;

type Libc = ReturnType<typeof loadLibc>;
let libc: Libc | undefined;
let namespaces: Namespaces | undefined;

/**
 * Connects to the socket, verifies the listening process and sends the request. Calls `sign` between
 * operations, so that the agent knows that the reader process does not hang. `elapsed` is a monotonic clock
 * in milliseconds.
 */
export function askSocket(request: SocketRequest, sign: () => void, elapsed: () => number): SocketAnswer {
  libc ??= loadLibc();
  const held = request.path === undefined ? undefined : holdSocket(request.path);
  if (held === "none") return { failed: "refused" };
  const address = held === undefined ? abstractAddress(request.abstract ?? "") : pathAddress(held);
  let descriptor = -1;
  try {
    sign();
    descriptor = address ? openIn(libc, request) : -1;
    if (descriptor < 0 || !address) return { failed: "refused" };
    setTimeouts(libc, descriptor);
    if (!connectAs(libc, request.uid, descriptor, address)) return { failed: "refused" };
    if (!isExpected(libc, descriptor, request)) return { failed: "stranger" };
    return converse(libc, descriptor, request, sign, elapsed);
  } finally {
    if (descriptor >= 0) libc.close(descriptor);
    if (held !== undefined) closeSync(held);
  }
}

/**
 * Gets a descriptor of the socket file without opening it for reading or writing. The check and the
 * connection then use the same file.
 */
function holdSocket(path: string): number | "none" {
  let descriptor: number;
  try {
    descriptor = openSync(path, O_PATH);
  } catch {
    return "none";
  }
  if (fstatSync(descriptor).isSocket()) return descriptor;
  closeSync(descriptor);
  return "none";
}

/**
 * Formats `sockaddr_un` for an open socket file: address family in native byte order, then the
 * zero-terminated path.
 */
const pathAddress = (held: number): Uint8Array => sockaddr(Buffer.from(`/proc/self/fd/${held}\0`));

function abstractAddress(name: string): Uint8Array | undefined {
  const bytes = Buffer.from(`\0${name}`, "latin1");
  return bytes.length <= PATH_BYTES_MAX ? sockaddr(bytes) : undefined;
}

function sockaddr(path: Uint8Array): Uint8Array {
  const address = new Uint8Array(2 + path.length);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(path, 2);
  return address;
}

/**
 * Creates the socket in the required network namespace, because the kernel resolves an abstract name in the
 * namespace of the connecting socket.
 */
function openIn({ socket }: Libc, { inside }: SocketRequest): number {
  const make = () => socket(AF_UNIX, SOCK_STREAM_CLOEXEC, 0);
  if (!inside) return make();
  namespaces ??= createNamespaces(() => process.exit(1));
  if (!namespaces.isAllowed()) return -1;
  try {
    return namespaces.within(inside, make);
  } catch {
    return -1;
  }
}

/**
 * Connects with the permissions of the user who owns the socket. connect(2) needs write permission, and the
 * service has only read permission for files of other users (CAP_DAC_READ_SEARCH). The agent therefore sends
 * nothing that this user could not send.
 */
function connectAs(
  { connect, setfsuid }: Libc,
  uid: number,
  descriptor: number,
  address: Uint8Array,
): boolean {
  const own = process.geteuid?.() ?? 0;
  setfsuid(uid);
  try {
    return connect(descriptor, address, address.length) === 0;
  } finally {
    setfsuid(own);
  }
}

function setTimeouts({ setsockopt }: Libc, descriptor: number): void {
  const timeval = new DataView(new ArrayBuffer(16));
  timeval.setBigInt64(8, BigInt(SLICE_MS * 1000), true);
  for (const option of [SO_RCVTIMEO, SO_SNDTIMEO])
    setsockopt(descriptor, SOL_SOCKET, option, new Uint8Array(timeval.buffer), 16);
}

/** Checks pid and user of the process that called listen(2), as recorded by the kernel (SO_PEERCRED, unix(7)). */
function isExpected({ getsockopt }: Libc, descriptor: number, { pids, uid }: SocketRequest): boolean {
  const ucred = new Uint8Array(12);
  const length = new Uint8Array(new Uint32Array([ucred.length]).buffer);
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, ucred, length) !== 0) return false;
  const view = new DataView(ucred.buffer);
  return pids.includes(view.getInt32(0, true)) && view.getUint32(4, true) === uid;
}

function converse(
  { recv, send }: Libc,
  descriptor: number,
  { quietMs, request, bodyBytesMax, timeoutMs }: SocketRequest,
  sign: () => void,
  elapsed: () => number,
): SocketAnswer {
  const chunk = new Uint8Array(CHUNK_BYTES);
  const quietUntilMs = elapsed() + quietMs;
  while (elapsed() < quietUntilMs) {
    sign();
    if (recv(descriptor, chunk, chunk.length, 0) >= 0) return { failed: "talks" };
  }
  const sent = Buffer.from(request, "latin1");
  if (send(descriptor, sent, sent.length, MSG_NOSIGNAL) !== BigInt(sent.length)) return { failed: "refused" };
  let received = new Uint8Array(0);
  const untilMs = elapsed() + timeoutMs;
  for (;;) {
    sign();
    const count = Number(recv(descriptor, chunk, chunk.length, 0));
    const isLate = elapsed() >= untilMs;
    if (count > 0) received = new Uint8Array(Buffer.concat([received, chunk.subarray(0, count)]));
    // A negative count means that no bytes arrived within SLICE_MS.
    const ended = count === 0 || isLate || received.length > bodyBytesMax + HEAD_BYTES;
    if (count < 0 && !isLate) continue;
    const parsed = parseAnswer(received, ended, bodyBytesMax);
    if (parsed.state === "complete") return { answer: parsed.answer };
    if (isLate && received.length === 0) return { failed: "silent" };
    if (ended || parsed.state === "not-http") return { failed: "not-http" };
  }
}

function loadLibc() {
  const { symbols } = dlopen("libc.so.6", {
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
    setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
    getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
    send: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
    recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
    close: { args: ["i32"], returns: "i32" },
    setfsuid: { args: ["u32"], returns: "i32" },
  });
  return symbols;
}
