import { dlopen } from "bun:ffi";
import { formatAddress, TCP_ROWS_MAX, type TcpRow } from "./sockets.ts";

/*
 * Reads TCP sockets of the agent's own network namespace with netlink (sock_diag(7)). `/proc/net/tcp` would format every
 * socket as text, and a busy host has tens of thousands in TIME_WAIT. With sock_diag the kernel returns sockets of one state
 * only, and finds listening sockets without a walk over all others.
 */

export type SocketDiag = {
  /** Sockets in this state. Undefined if the kernel's response is incomplete; the caller then reads procfs. */
  read(state: TcpRow["state"]): TcpRow[] | undefined;
};

// linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h, bits/socket.h
const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 0o2000003;
const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const TCPDIAG_GETSOCK = 18;
const NLM_F_REQUEST_DUMP = 0x301;
const NLM_F_DUMP_INTR = 0x10;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLMSG_HEADER_BYTES = 16;
/** `inet_diag_req_v2` behind the header. */
const REQUEST_BYTES = NLMSG_HEADER_BYTES + 56;
/** `inet_diag_req` behind the header. */
const COMBINED_REQUEST_BYTES = NLMSG_HEADER_BYTES + 60;
/** Size of `inet_diag_msg` without its attributes. */
const MESSAGE_BYTES = 72;
const MSG_DONTWAIT = 0x40;
const IPPROTO_TCP = 6;
const FAMILIES = { 2: 4, 10: 16 } as const;
/** TCP states of include/net/tcp_states.h. A request has one bit per state. */
const STATES = { established: 1, listen: 10 } as const;
/** The kernel returns at most this much of a dump per read. */
const BUFFER_BYTES = 32 * 1024;

/** Netlink request for the sockets of one address family (2: IPv4, 10: IPv6) in one state. */
export function diagRequest(family: 2 | 10, state: TcpRow["state"], sequence: number): Uint8Array {
  const request = new DataView(new ArrayBuffer(REQUEST_BYTES));
  request.setUint32(0, REQUEST_BYTES, true);
  request.setUint16(4, SOCK_DIAG_BY_FAMILY, true);
  request.setUint16(6, NLM_F_REQUEST_DUMP, true);
  request.setUint32(8, sequence, true);
  request.setUint8(NLMSG_HEADER_BYTES, family);
  request.setUint8(NLMSG_HEADER_BYTES + 1, IPPROTO_TCP);
  request.setUint32(NLMSG_HEADER_BYTES + 4, 1 << STATES[state], true);
  return new Uint8Array(request.buffer);
}

/**
 * Netlink request for the sockets of both address families in one state. This is the older form of the request, which
 * always returns both (inet_diag_dump_compat in net/ipv4/inet_diag.c). The kernel walks its hash table of connections once
 * instead of once per family, which takes about 1 ms.
 */
export function combinedDiagRequest(state: TcpRow["state"], sequence: number): Uint8Array {
  const request = new DataView(new ArrayBuffer(COMBINED_REQUEST_BYTES));
  request.setUint32(0, COMBINED_REQUEST_BYTES, true);
  request.setUint16(4, TCPDIAG_GETSOCK, true);
  request.setUint16(6, NLM_F_REQUEST_DUMP, true);
  request.setUint32(8, sequence, true);
  request.setUint32(NLMSG_HEADER_BYTES + 52, 1 << STATES[state], true);
  return new Uint8Array(request.buffer);
}

/** `refused`: the kernel does not support the request or the address family, for example because IPv6 is disabled. */
export type DiagPart = { rows: TcpRow[]; is: "more" | "done" | "refused" | "failed" };

/**
 * Parses the whole messages of one read. A message that is not a response to `sequence` makes the result `failed`, as does
 * a message of another type than the request.
 */
export function parseDiag(
  bytes: Uint8Array,
  state: TcpRow["state"],
  sequence: number,
  requestType = SOCK_DIAG_BY_FAMILY,
): DiagPart {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const rows: TcpRow[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = at + NLMSG_HEADER_BYTES <= bytes.length ? view.getUint32(at, true) : 0;
    if (length < NLMSG_HEADER_BYTES || at + length > bytes.length) return { rows, is: "failed" };
    const type = view.getUint16(at + 4, true);
    // An interrupted dump may lack sockets.
    const isCut = (view.getUint16(at + 6, true) & NLM_F_DUMP_INTR) !== 0;
    if (isCut || view.getUint32(at + 8, true) !== sequence) return { rows, is: "failed" };
    if (type === NLMSG_DONE) return { rows, is: "done" };
    if (type === NLMSG_ERROR) return { rows, is: "refused" };
    if (type !== requestType || length < NLMSG_HEADER_BYTES + MESSAGE_BYTES) return { rows, is: "failed" };
    const row = readMessage(bytes, view, at + NLMSG_HEADER_BYTES, state);
    if (row) rows.push(row);
    at += (length + 3) & ~3;
  }
  return { rows, is: "more" };
}

/** Parses `inet_diag_msg`: family, state, ports and addresses in network byte order, and at the end user and inode. */
function readMessage(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  state: TcpRow["state"],
): TcpRow | undefined {
  const family = bytes[at] as 2 | 10;
  const length = FAMILIES[family];
  if (length === undefined || bytes[at + 1] !== STATES[state]) return undefined;
  return {
    localAddress: formatAddress(bytes.subarray(at + 8, at + 8 + length)),
    localPort: view.getUint16(at + 4),
    remoteAddress: formatAddress(bytes.subarray(at + 24, at + 24 + length)),
    remotePort: view.getUint16(at + 6),
    state,
    uid: view.getUint32(at + 64, true),
    inode: String(view.getUint32(at + 68, true)),
  };
}

/** Opens a netlink socket. Undefined if that fails: another system, another C library, or a sandbox. */
export function openSocketDiag(): SocketDiag | undefined {
  try {
    const { symbols } = dlopen("libc.so.6", {
      socket: { args: ["i32", "i32", "i32"], returns: "i32" },
      send: { args: ["i32", "ptr", "u64", "i32"], returns: "i32" },
      recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i32" },
    });
    const descriptor = symbols.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_SOCK_DIAG);
    if (descriptor < 0) return undefined;
    return createSocketDiag({
      send: (bytes) => symbols.send(descriptor, bytes, bytes.length, 0) === bytes.length,
      // The kernel fills the dump during the request, so a read never has to wait.
      receive: (into) => symbols.recv(descriptor, into, into.length, MSG_DONTWAIT),
    });
  } catch {
    return undefined;
  }
}

/** Reads sockets through `netlink`. `receive` returns the number of bytes, or a negative number without data. */
export function createSocketDiag(netlink: {
  send: (bytes: Uint8Array) => boolean;
  receive: (into: Uint8Array) => number;
}): SocketDiag {
  const buffer = new Uint8Array(BUFFER_BYTES);
  let sequence = 0;
  let isCombinedRefused = false;
  return {
    read: (state) => {
      if (!isCombinedRefused) {
        const rows = dump(state, TCP_ROWS_MAX);
        if (rows !== "refused") return rows;
        isCombinedRefused = true;
      }
      const four = dump(state, TCP_ROWS_MAX, 2);
      if (!Array.isArray(four)) return undefined;
      const six = dump(state, TCP_ROWS_MAX - four.length, 10);
      return six === "refused" ? four : six && [...four, ...six];
    },
  };

  /** Reads the sockets of one address family, or of both. */
  function dump(state: TcpRow["state"], rowsMax: number, family?: 2 | 10): TcpRow[] | "refused" | undefined {
    // Discard the rest of an earlier dump that was not read to its end.
    while (netlink.receive(buffer) > 0);
    sequence += 1;
    const request = family ? diagRequest(family, state, sequence) : combinedDiagRequest(state, sequence);
    const requestType = family ? SOCK_DIAG_BY_FAMILY : TCPDIAG_GETSOCK;
    if (!netlink.send(request)) return undefined;
    const rows: TcpRow[] = [];
    while (rows.length < rowsMax) {
      const length = netlink.receive(buffer);
      if (length <= 0) return undefined;
      const part = parseDiag(buffer.subarray(0, length), state, sequence, requestType);
      if (part.is === "refused") return "refused";
      if (part.is === "failed") return undefined;
      rows.push(...part.rows);
      if (part.is === "done") return rows;
    }
    return rows.slice(0, rowsMax);
  }
}
