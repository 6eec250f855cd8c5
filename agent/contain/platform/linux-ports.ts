import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { parseTcpTable } from "../../scan/network/sockets.ts";
import { parsePasswd, parseUid } from "../../scan/processes/process-identity.ts";
import type { Listener } from "../engines/replaced-engines.ts";
import type { Endpoint } from "../network/firewall.ts";

/** Code of the LISTEN state in `/proc/net/tcp` (proc(5)). */
const LISTEN = "0A";
const DESCRIPTORS_MAX = 65_536;

/** TCP endpoints on which these processes listen, as reported by the kernel. The result does not depend on a scan. */
export function listeningOf(pids: readonly number[]): Endpoint[] {
  const found = new Map<string, Endpoint>();
  for (const pid of pids) {
    const inodes = socketsOf(pid);
    if (inodes.size === 0) continue;
    // These are the tables of the process's own network namespace.
    for (const [table, isSix] of [
      ["tcp", false],
      ["tcp6", true],
    ] as const)
      for (const { inode, ...endpoint } of parseListening(readOrEmpty(`/proc/${pid}/net/${table}`), isSix))
        if (inodes.has(inode)) found.set(`${endpoint.address} ${endpoint.port}`, endpoint);
  }
  return [...found.values()];
}

/**
 * TCP listeners on these ports in the agent's network namespace, as reported by the kernel. Addresses have
 * the same notation as in a scan. Reads the file descriptors of every process.
 */
export function listenersOn(ports: readonly number[]): Listener[] {
  const rows = ["tcp", "tcp6"].flatMap((table) =>
    parseTcpTable(readOrEmpty(`/proc/self/net/${table}`)).filter(
      ({ state, localPort }) => state === "listen" && ports.includes(localPort),
    ),
  );
  if (rows.length === 0) return [];
  const names = parsePasswd(readOrEmpty("/etc/passwd"));
  const holdersOf = new Map(rows.map(({ inode }): [string, Listener["holders"][number][]] => [inode, []]));
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    const pid = Number(name);
    for (const inode of socketsOf(pid)) holdersOf.get(inode)?.push({ pid, users: usersOf(pid, names) });
  }
  return rows.map(({ localAddress, localPort, inode }) => ({
    address: localAddress,
    port: localPort,
    holders: holdersOf.get(inode)!,
  }));
}

/** Parses the rows in state LISTEN. Addresses are hexadecimal groups of 32 bits in host byte order. */
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

/** Name and numeric id of the process's real user, in the same notation as in a scan. */
function usersOf(pid: number, names: ReadonlyMap<number, { name: string }>): string[] {
  const uid = parseUid(readOrEmpty(`/proc/${pid}/status`));
  return uid === undefined ? [] : [names.get(uid)?.name, String(uid)].filter((user) => user !== undefined);
}

function socketsOf(pid: number): Set<string> {
  const inodes = new Set<string>();
  try {
    for (const name of readdirSync(`/proc/${pid}/fd`).slice(0, DESCRIPTORS_MAX)) {
      const [, inode] = /^socket:\[(\d+)\]$/.exec(linkOrEmpty(`/proc/${pid}/fd/${name}`)) ?? [];
      if (inode !== undefined) inodes.add(inode);
    }
  } catch {
    // Ignore the error, because the process has ended.
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
