import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { createServer, type Server, Socket } from "node:net";
import { createOwnSockets } from "../../../../../agent/scan/network/own-sockets.ts";
import {
  combinedDiagRequest,
  createSocketDiag,
  diagRequest,
  openSocketDiag,
  parseDiag,
  type SocketDiag,
} from "../../../../../agent/scan/network/sock-diag.ts";
import { parseTcpTable, type TcpRow } from "../../../../../agent/scan/network/sockets.ts";
import { realFiles } from "../../../../../agent/scan/system/files.ts";
import { describeUnless, missing } from "../../../../support/missing.ts";

const SEQUENCE = 7;
const HEADER = 16;

/** One message of a netlink dump (linux/inet_diag.h), as written by the kernel on a little-endian machine. */
function message(of: {
  family?: number;
  state?: number;
  local?: number[];
  remote?: number[];
  localPort?: number;
  remotePort?: number;
  uid?: number;
  inode?: number;
  type?: number;
  flags?: number;
  sequence?: number;
}): Uint8Array {
  const bytes = new Uint8Array(HEADER + 72);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, of.type ?? 20, true);
  view.setUint16(6, of.flags ?? 2, true);
  view.setUint32(8, of.sequence ?? SEQUENCE, true);
  bytes[HEADER] = of.family ?? 2;
  bytes[HEADER + 1] = of.state ?? 10;
  view.setUint16(HEADER + 4, of.localPort ?? 11_434);
  view.setUint16(HEADER + 6, of.remotePort ?? 0);
  bytes.set(of.local ?? [127, 0, 0, 1], HEADER + 8);
  bytes.set(of.remote ?? [0, 0, 0, 0], HEADER + 24);
  view.setUint32(HEADER + 64, of.uid ?? 998, true);
  view.setUint32(HEADER + 68, of.inode ?? 26_517, true);
  return bytes;
}

const DONE = message({ type: 3 });
const join = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const OLLAMA: TcpRow = {
  localAddress: "127.0.0.1",
  localPort: 11_434,
  remoteAddress: "0.0.0.0",
  remotePort: 0,
  state: "listen",
  uid: 998,
  inode: "26517",
};

describe("parseDiag()", () => {
  test("reads IPv4, IPv6 and IPv4-mapped sockets and reports the end of the dump", () => {
    const loopback = [...Array<number>(15).fill(0), 1];
    const mapped = [...Array<number>(10).fill(0), 255, 255, 127, 0, 0, 1];
    const six = message({ family: 10, local: loopback, remote: Array<number>(16).fill(0) });
    const both = message({ family: 10, local: mapped, remote: mapped });
    expect(parseDiag(join(message({}), six, both, DONE), "listen", SEQUENCE)).toEqual({
      rows: [
        OLLAMA,
        { ...OLLAMA, localAddress: "::1", remoteAddress: "::" },
        { ...OLLAMA, remoteAddress: "127.0.0.1" },
      ],
      is: "done",
    });
  });

  test("returns `more` after whole messages without an end of the dump", () => {
    expect(parseDiag(message({}), "listen", SEQUENCE)).toEqual({ rows: [OLLAMA], is: "more" });
  });

  test("skips a socket in another state", () => {
    expect(parseDiag(join(message({ state: 1 }), DONE), "listen", SEQUENCE)).toEqual({
      rows: [],
      is: "done",
    });
  });

  test.each([
    ["another dump's answer", join(message({ sequence: SEQUENCE + 1 }), DONE)],
    ["an interrupted dump", join(message({ flags: 0x12 }), DONE)],
    ["a message of another type", message({ type: 16 })],
    ["a cut message", message({}).subarray(0, 87)],
    ["a cut header", message({}).subarray(0, 15)],
    ["a length of zero", new Uint8Array(88)],
  ])("fails on %s instead of returning an incomplete list", (_, bytes) => {
    expect(parseDiag(bytes, "listen", SEQUENCE).is).toBe("failed");
  });

  test("distinguishes an unsupported address family from a failure", () => {
    expect(parseDiag(message({ type: 2 }), "listen", SEQUENCE).is).toBe("refused");
  });
});

test("diagRequest() requests TCP sockets of one address family in one state", () => {
  const view = new DataView(diagRequest(10, "established", 3).buffer as ArrayBuffer);
  expect([view.getUint32(0, true), view.getUint16(4, true), view.getUint32(8, true)]).toEqual([72, 20, 3]);
  expect([view.getUint8(16), view.getUint8(17), view.getUint32(20, true)]).toEqual([10, 6, 2]);
});

test("combinedDiagRequest() requests TCP sockets of both address families in one state", () => {
  const view = new DataView(combinedDiagRequest("listen", 3).buffer as ArrayBuffer);
  expect([view.getUint32(0, true), view.getUint16(4, true), view.getUint32(8, true)]).toEqual([76, 18, 3]);
  expect(view.getUint32(16 + 52, true)).toBe(1 << 10);
});

describe("createSocketDiag()", () => {
  /**
   * A fake netlink socket that responds to each request with the next array. Each element of the array is the
   * result of one read. A number is the return value of recv(2) if there is no data.
   */
  function answering(...answers: (Uint8Array | number)[][]): SocketDiag {
    let queue: (Uint8Array | number)[] = [];
    return createSocketDiag({
      send: () => {
        queue = [...(answers.shift() ?? [])];
        return true;
      },
      receive: (into) => {
        const next = queue.shift();
        if (typeof next !== "object") return next ?? -1;
        into.set(next);
        return next.length;
      },
    });
  }
  const both = (sequence: number): Uint8Array => message({ type: 18, sequence });
  const four = (sequence: number): Uint8Array => message({ sequence });
  const done = (sequence: number): Uint8Array => message({ type: 3, sequence });
  const refused = (sequence: number): Uint8Array => message({ type: 2, sequence });

  test("reads both address families with one request", () => {
    expect(answering([both(1), done(1)], []).read("listen")).toEqual([OLLAMA]);
  });

  test("reads the address families one by one if the kernel refuses the combined request, and never retries it", () => {
    const diag = answering([refused(1)], [four(2), done(2)], [done(3)], [four(4), done(4)], [done(5)]);
    expect(diag.read("listen")).toEqual([OLLAMA]);
    expect(diag.read("listen")).toEqual([OLLAMA]);
  });

  test("accepts a kernel without IPv6", () => {
    expect(answering([refused(1)], [four(2), done(2)], [refused(3)]).read("listen")).toEqual([OLLAMA]);
  });

  test.each([
    ["the combined dump stops short", [[both(1)], [done(2)]]],
    ["the response is of another type", [[four(1), done(1)]]],
    ["IPv4 is refused", [[refused(1)], [refused(2)], [done(3)]]],
    ["IPv4 stops short", [[refused(1)], [four(2)], [done(3)]]],
    ["IPv6 stops short", [[refused(1)], [four(2), done(2)], [four(3)]]],
  ] as [string, Uint8Array[][]][])("returns nothing instead of an incomplete list if %s", (_, answers) => {
    expect(answering(...answers).read("listen")).toBeUndefined();
  });

  test("discards the rest of an earlier dump", () => {
    const diag = answering([both(1)], [both(2), done(2)]);
    expect(diag.read("listen")).toBeUndefined();
    expect(diag.read("listen")).toEqual([OLLAMA]);
  });
});

describeUnless(missing("Linux"), "openSocketDiag()", () => {
  const open: (Server | Socket)[] = [];
  afterAll(() => {
    for (const one of open) one instanceof Socket ? one.destroy() : one.close();
  });

  test("returns the same sockets of this process as the tables of procfs", async () => {
    const ports = await Promise.all([listen("127.0.0.1"), listen("::1")]);
    await new Promise<void>((resolve) => {
      const client = new Socket();
      open.push(client);
      client.connect(ports[0]!, "127.0.0.1", resolve);
    });
    const diag = openSocketDiag()!;
    const ofTheTest = (rows: readonly TcpRow[]): string[] =>
      rows
        .filter((row) => ports.includes(row.localPort) || ports.includes(row.remotePort))
        .map((row) => JSON.stringify(Object.entries(row).sort()))
        .sort();
    const asked = [...diag.read("listen")!, ...diag.read("established")!];
    const tables = ["tcp", "tcp6"].flatMap((name) =>
      parseTcpTable(readFileSync(`/proc/net/${name}`, "latin1")),
    );
    expect(ofTheTest(asked)).toEqual(ofTheTest(tables));
    expect(ofTheTest(asked).length).toBe(4);
  });

  async function listen(host: string): Promise<number> {
    const server = createServer(() => {});
    open.push(server);
    return new Promise((resolve) => {
      server.listen(0, host, () => resolve((server.address() as { port: number }).port));
    });
  }
});

describe("createOwnSockets()", () => {
  const deps = { files: realFiles(), procRoot: "/nowhere" };
  const connection: TcpRow = { ...OLLAMA, state: "established", inode: "41353", remotePort: 4 };

  test("returns the same array while the sockets are unchanged, and a new one after any change", () => {
    let rows: TcpRow[] = [OLLAMA];
    const sockets = createOwnSockets({ ...deps, diag: { read: () => rows.map((row) => ({ ...row })) } });
    const first = sockets.listening();
    expect(sockets.listening()).toBe(first!);
    rows = [{ ...OLLAMA, inode: "26518" }];
    expect(sockets.listening()).not.toBe(first!);
    expect(sockets.listening()).toEqual(rows);
  });

  test("reads connections in every second scan, and immediately for new listeners", () => {
    const asked: string[] = [];
    const read = (state: TcpRow["state"]): TcpRow[] => {
      asked.push(state);
      return state === "listen" ? [OLLAMA] : [connection];
    };
    const sockets = createOwnSockets({ ...deps, diag: { read } });
    const connections = (): number => asked.filter((state) => state === "established").length;
    for (const [isNews, total] of [
      [true, 1],
      [false, 1],
      [false, 2],
      [false, 2],
      [true, 3],
    ] as const) {
      sockets.listening();
      expect(sockets.established(isNews)).toEqual([connection]);
      expect(connections()).toBe(total);
    }
  });

  test("is undefined, not empty, if neither sock_diag nor procfs is readable", () => {
    const sockets = createOwnSockets({ ...deps, diag: { read: () => undefined } });
    expect(sockets.listening()).toBeUndefined();
    expect(sockets.established(true)).toEqual([]);
  });
});
