import type { TcpRow } from "../network/sockets.ts";

/*
 * Parses the output of lsof(8), section "OUTPUT FOR OTHER PROGRAMS". Each line is one field. Its first
 * character names the field. `p` starts a process and `f` starts a file of that process. `t` is the file
 * type, `n` the file name and `T` TCP information.
 */

/**
 * An open or mapped file of a process. `descriptor` is a number, or a word such as `txt` or `mem` for a
 * mapped file.
 */
export type OpenFile = { pid: number; descriptor: string; type: string; name: string; tcpState?: string };

export function parseLsof(text: string): OpenFile[] {
  const files: OpenFile[] = [];
  let pid = 0;
  let file: OpenFile | undefined;
  for (const line of text.split("\n")) {
    const value = line.slice(1);
    switch (line[0]) {
      case "p":
        pid = Number(value);
        file = undefined;
        break;
      case "f":
        file = { pid, descriptor: value, type: "", name: "" };
        files.push(file);
        break;
      case "t":
        if (file) file.type = value;
        break;
      case "n":
        if (file) file.name = unescaped(value);
        break;
      case "T":
        if (file && value.startsWith("ST=")) file.tcpState = value.slice(3);
        break;
    }
  }
  return files;
}

const SIGNS: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", "\\": "\\" };

/**
 * Decodes the escapes of lsof: `\\`, `\t` and similar ones, and `\xc3\xa9` for bytes outside its locale. lsof
 * also writes a control character as `^A`. That form is not decoded, because a file name can contain these
 * two characters.
 */
function unescaped(name: string): string {
  if (!name.includes("\\")) return name;
  const parts = name.split(/(\\x[0-9a-f]{2}|\\[bfnrt\\])/).map((part) => {
    if (/^\\x[0-9a-f]{2}$/.test(part)) return Buffer.from([Number.parseInt(part.slice(2), 16)]);
    return Buffer.from(part.length === 2 && part[0] === "\\" ? (SIGNS[part[1]!] ?? part) : part);
  });
  return Buffer.concat(parts).toString();
}

/** TCP sockets in the output of `lsof -nP -iTCP -F pftnT`. `inode` contains the pid. */
export function tcpRowsOf(files: readonly OpenFile[]): TcpRow[] {
  const rows: TcpRow[] = [];
  for (const { pid, type, name, tcpState } of files) {
    const state = tcpState === "LISTEN" ? "listen" : tcpState === "ESTABLISHED" ? "established" : undefined;
    if (!state) continue;
    const [local, remote] = name.split("->").map((end) => parseEnd(end, type));
    if (!local) continue;
    rows.push({
      localAddress: local.address,
      localPort: local.port,
      remoteAddress: remote?.address ?? "",
      remotePort: remote?.port ?? 0,
      state,
      uid: -1,
      inode: String(pid),
    });
  }
  return rows;
}

/** Parses an address with a port: `127.0.0.1:11434`, `[::1]:11434`, `*:11434`. */
function parseEnd(end: string, type: string): { address: string; port: number } | undefined {
  const colon = end.lastIndexOf(":");
  const port = Number(end.slice(colon + 1));
  if (colon < 0 || !Number.isInteger(port) || port < 1) return undefined;
  const host = end.slice(0, colon).replace(/^\[|\]$/g, "");
  if (host !== "*") return { address: host, port };
  return { address: type === "IPv6" ? "::" : "0.0.0.0", port };
}
