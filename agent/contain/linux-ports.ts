import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Endpoint } from "./firewall.ts";

/** proc(5), `/proc/net/tcp`: state of a socket that listens. */
const LISTEN = "0A";
const DESCRIPTORS_MAX = 65_536;

/** Where these processes listen (TCP), as the kernel says it: not what a scan found out about them. */
export function listeningOf(pids: readonly number[]): Endpoint[] {
  const found = new Map<string, Endpoint>();
  for (const pid of pids) {
    const inodes = socketsOf(pid);
    if (inodes.size === 0) continue;
    // The tables of its own network namespace.
    for (const [table, isSix] of [
      ["tcp", false],
      ["tcp6", true],
    ] as const)
      for (const { inode, ...endpoint } of parseListening(readOrEmpty(`/proc/${pid}/net/${table}`), isSix))
        if (inodes.has(inode)) found.set(`${endpoint.address} ${endpoint.port}`, endpoint);
  }
  return [...found.values()];
}

/** Rows in state LISTEN. An address is groups of 32 bits in the byte order of this host, in hex. */
export function parseListening(table: string, isSix: boolean): (Endpoint & { inode: string })[] {
  return table.split("\n").flatMap((row) => {
    const [, local = "", , state, , , , , , inode = ""] = row.trim().split(/\s+/);
    if (state !== LISTEN) return [];
    const [hex = "", port = ""] = local.split(":");
    const bytes = hex.match(/.{8}/g)?.flatMap((group) => group.match(/../g)!.toReversed()) ?? [];
    const address = isSix
      ? bytes.join("").toLowerCase().match(/.{4}/g)!.join(":")
      : bytes.map((byte) => Number.parseInt(byte, 16)).join(".");
    return [{ address, port: Number.parseInt(port, 16), inode }];
  });
}

function socketsOf(pid: number): Set<string> {
  const inodes = new Set<string>();
  try {
    for (const name of readdirSync(`/proc/${pid}/fd`).slice(0, DESCRIPTORS_MAX)) {
      const [, inode] = /^socket:\[(\d+)\]$/.exec(linkOrEmpty(`/proc/${pid}/fd/${name}`)) ?? [];
      if (inode !== undefined) inodes.add(inode);
    }
  } catch {
    // It ended in between.
  }
  return inodes;
}

function linkOrEmpty(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
