import { dlopen } from "bun:ffi";
import { formatAddress, TCP_ROWS_MAX, type TcpRow } from "./sockets.ts";

/*
 * Reads TCP sockets of the agent's own network namespace with netlink (sock_diag(7)). Reading `/proc/net/tcp`
 * is slower: the kernel formats every socket as text, and a busy host has tens of thousands of sockets in
 * TIME_WAIT. With sock_diag, the kernel returns only the sockets in one TCP state. To find listening sockets,
 * it does not walk all other sockets.
 */

export type SocketDiag = {
  /**
   * Sockets in this TCP state. Undefined if the kernel's response is incomplete; the caller must then read
   * procfs.
   */
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
/** Size of the netlink header and `inet_diag_req_v2`. */
const REQUEST_BYTES = NLMSG_HEADER_BYTES + 56;
/** Size of the netlink header and `inet_diag_req`. */
const COMBINED_REQUEST_BYTES = NLMSG_HEADER_BYTES + 60;
/** Size of `inet_diag_msg` without its attributes. */
const MESSAGE_BYTES = 72;
const MSG_DONTWAIT = 0x40;
const IPPROTO_TCP = 6;
const FAMILIES = { 2: 4, 10: 16 } as const;
/** TCP states from include/net/tcp_states.h. A request contains a mask with one bit per state. */
const STATES = { established: 1, listen: 10 } as const;
/** The kernel returns at most this many bytes of a dump per read. */
const BUFFER_BYTES = 32 * 1024;

/** Netlink request for the sockets of one address family (2: IPv4, 10: IPv6) in one TCP state. */
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
 * Netlink request for the sockets of both address families in one TCP state. This is the older request
 * format, whose response always contains both families (inet_diag_dump_compat in net/ipv4/inet_diag.c). The
 * kernel walks its hash table of connections once instead of once per family. A walk takes about 1 ms.
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
 * Parses all messages returned by one read. The result is `failed` if a message does not belong to request
 * `sequence` or does not have type `requestType`.
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
    // The response to an interrupted dump can be incomplete.
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

/** Parses `inet_diag_msg`: address family, state, ports and addresses in network byte order, user id and inode. */
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

/**
 * Opens a netlink socket. Undefined if that fails, for example on another system, with another C library or
 * in a sandbox.
 */
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
      // The kernel prepares the whole dump during the request, so a read never has to wait.
      receive: (into) => symbols.recv(descriptor, into, into.length, MSG_DONTWAIT),
    });
  } catch {
    return undefined;
  }
}

/**
 * Reads sockets through `netlink`. `receive` returns the number of bytes, or a negative number if there is no
 * data.
 */
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

  /** Reads the sockets of one address family, or of both if `family` is absent. */
  function dump(state: TcpRow["state"], rowsMax: number, family?: 2 | 10): TcpRow[] | "refused" | undefined {
    // Discard unread data of an earlier dump.
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
