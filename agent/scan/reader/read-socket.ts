import { dlopen } from "bun:ffi";
import { closeSync, fstatSync, openSync } from "node:fs";
import type { Answer } from "../../catalogue/http-answer.ts";
import { createNamespaces, type Namespaces } from "../network/namespaces.ts";
import { parseAnswer } from "../probe/http-client.ts";

/*
 * One request to a unix socket, in the reader process: following a path that others control may never end. Every call is
 * synchronous, and the kernel says who listens before anything is sent.
 */

/** What the reader is asked. Exactly one of `path` and `abstract` is there. */
export type SocketRequest = {
  path?: string | undefined;
  /** Name in the abstract namespace (unix(7)), without its zero byte. */
  abstract?: string | undefined;
  inside?: { pid: number; name: string } | undefined;
  /** Processes that may have called listen(2) on it. */
  pids: readonly number[];
  uid: number;
  /** Waits this long for the server to speak first: one that does is no server of HTTP, and is sent nothing. */
  quietMs: number;
  request: string;
  bodyBytesMax: number;
  timeoutMs: number;
};

/** `stranger`: another process listens there than the one that holds the socket. `talks`: it spoke first. */
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
/** The path in sockaddr_un. */
const PATH_BYTES_MAX = 108;
/** Gets a descriptor of the file without opening it for reading or writing (O_PATH, open(2)). */
const O_PATH = 0o10000000;
/** Time slice in milliseconds between signs of life to the parent, which kills a silent reader. */
const SLICE_MS = 100;
const CHUNK_BYTES = 64 * 1024;
const HEAD_BYTES = 64 * 1024;

type Libc = ReturnType<typeof loadLibc>;
let libc: Libc | undefined;
let namespaces: Namespaces | undefined;

/** `sign` is called between operations, so that the agent knows this process is not stuck. */
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

/** A descriptor of the socket file, so that the agent connects to the same file that it checked. */
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

/** sockaddr_un: family in the order of this machine, then the path with its end. */
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

/** An abstract name is resolved in the network namespace in which the connecting socket was created. */
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
 * Connects with the rights of the socket's user: the service may read what others own (CAP_DAC_READ_SEARCH) and not write,
 * which connect(2) takes, and nothing is asked that this user could not ask.
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

/** The kernel records pid, user and group of the process that called listen(2) (SO_PEERCRED, unix(7)). */
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
    // A negative count is a slice of time without bytes.
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
