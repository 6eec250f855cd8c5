import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { type NetworkInterfaceInfo, networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import {
  boundsOf,
  plainPrefix,
  rangesWithout,
  textOf,
} from "../../../../../agent/contain/network/addresses.ts";
import { deviceTo, linkPrefixes } from "../../../../../agent/contain/network/links.ts";
import { ipconfigServers } from "../../../../../agent/contain/platform/darwin.ts";
import {
  connectedTo,
  isTunnel,
  leasedFrom,
  readLeases,
  resolverUsers,
} from "../../../../../agent/contain/platform/linux-network.ts";
import { missing, testUnless } from "../../../../support/missing.ts";
import { until } from "../../report/send-edge.ts";

const directory = mkdtempSync(join(tmpdir(), "lz-links-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("plainPrefix() clears the host bits, and refuses invalid prefixes and prefixes of length 0", () => {
  expect(plainPrefix("192.0.2.77/24")).toBe("192.0.2.0/24");
  expect(plainPrefix("10.255.255.255/9")).toBe("10.128.0.0/9");
  expect(plainPrefix("192.0.2.77/32")).toBe("192.0.2.77/32");
  expect(plainPrefix("2001:db8::7/64")).toBe("2001:db8:0:0:0:0:0:0/64");
  for (const none of [
    "192.0.2.0",
    "192.0.2.0/33",
    "0.0.0.0/0",
    "::/0",
    "::/129",
    "192.0.2.0/0024",
    "fe80::1%eth0/64",
    "x/8",
    "1.2.3.4/-1",
  ])
    expect(() => plainPrefix(none)).toThrow(/not a valid (prefix|address)/);
});

test("boundsOf() returns the first and the last address", () => {
  const text = (prefix: string, isSix = false) => {
    const { from, to } = boundsOf(prefix);
    return `${textOf(from, isSix)}-${textOf(to, isSix)}`;
  };
  expect(text("192.0.2.77/24")).toBe("192.0.2.0-192.0.2.255");
  expect(text("192.0.2.77")).toBe("192.0.2.77-192.0.2.77");
  expect(text("ff02::/16", true)).toBe("ff02:0:0:0:0:0:0:0-ff02:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
});

test("rangesWithout() leaves out prefixes, even if they overlap or extend beyond the range", () => {
  const without = (...exceptions: string[]) => rangesWithout("10.0.0.0", "10.0.0.255", exceptions, false);
  expect(without("10.0.0.64/26")).toEqual(["10.0.0.0-10.0.0.63", "10.0.0.128-10.0.0.255"]);
  expect(without("10.0.0.64/26", "10.0.0.70", "10.0.0.96/27")).toEqual([
    "10.0.0.0-10.0.0.63",
    "10.0.0.128-10.0.0.255",
  ]);
  expect(without("10.0.0.0/8")).toEqual([]);
  expect(without("10.0.0.128/25")).toEqual(["10.0.0.0-10.0.0.127"]);
  expect(without("10.0.1.0/24", "9.0.0.0/8")).toEqual(["10.0.0.0-10.0.0.255"]);
});

test("linkPrefixes() returns the prefixes of this host's links, except very wide ones", () => {
  const made = (cidr: string | null, internal = false): NetworkInterfaceInfo =>
    ({ address: cidr?.split("/")[0] ?? "192.0.2.1", cidr, internal }) as NetworkInterfaceInfo;
  expect(
    linkPrefixes({
      lo: [made("127.0.0.1/8", true), made("::1/128", true)],
      eth0: [made("192.0.2.7/24"), made("2001:db8::7/64"), made("fe80::7/64"), made(null)],
      eth1: [made("192.0.2.8/24"), made("10.0.0.1/8"), made("11.0.0.1/7"), made("2001:db8:1::7/63")],
      tun0: undefined,
    }),
  ).toEqual(["10.0.0.0/8", "192.0.2.0/24", "2001:db8:0:0:0:0:0:0/64"]);
});

test("leasedFrom() reads the server from leases of systemd-networkd, NetworkManager and dhclient", () => {
  expect(leasedFrom(["# This is private data.\nADDRESS=192.0.2.7\nSERVER_ADDRESS=192.0.2.1\n"])).toEqual([
    "192.0.2.1",
  ]);
  expect(leasedFrom(["dhcp_server_identifier=192.0.2.2\n"])).toEqual(["192.0.2.2"]);
  const lease = (server: string) =>
    `lease {\n  interface "eth0";\n  option dhcp-server-identifier ${server};\n  option routers 192.0.2.9;\n}\n`;
  expect(leasedFrom([lease("192.0.2.3") + lease("192.0.2.4"), "SERVER_ADDRESS=192.0.2.4\n"])).toEqual([
    "192.0.2.4",
    "192.0.2.3",
  ]);
  const many = Array.from({ length: 20 }, (_, index) => lease(`192.0.2.${index + 1}`)).join("");
  expect(leasedFrom([many])).toEqual([20, 19, 18, 17, 16, 15, 14, 13].map((last) => `192.0.2.${last}`));
  for (const odd of [
    "SERVER_ADDRESS=999.0.2.1\n",
    "SERVER_ADDRESS=127.0.0.1\n",
    "XSERVER_ADDRESS=192.0.2.1\n",
    "# option dhcp-server-identifier 192.0.2.1;\n",
    "SERVER_ADDRESS=192.0.2.1 accept\n",
    "",
  ])
    expect(leasedFrom([odd])).toEqual([]);
});

test("readLeases() skips files that cannot be read", () => {
  const leases = join(directory, "leases");
  mkdirSync(join(leases, "3"), { recursive: true });
  writeFileSync(join(leases, "2"), "SERVER_ADDRESS=192.0.2.1\n");
  expect(leasedFrom(readLeases([leases, join(directory, "none")]))).toEqual(["192.0.2.1"]);
});

test("ipconfigServers() queries each network interface of macOS and returns only addresses", async () => {
  const asked: string[] = [];
  const run = async (command: readonly string[]) => {
    asked.push(command.join(" "));
    const stdout = { en0: "192.0.2.1\n", en1: "192.0.2.1\n", en2: "", en3: "1.2.3.4; pass all\n" }[
      command[2]!
    ]!;
    return { code: stdout === "" ? 1 : 0, stdout, stderr: "" };
  };
  expect(await ipconfigServers(run, ["en0", "en1", "en2", "en3"])).toEqual(["192.0.2.1"]);
  expect(asked[0]).toBe("/usr/sbin/ipconfig getoption en0 server_identifier");
});

test("isTunnel() is true for virtual devices without a link layer, and false for modems and bridges", () => {
  const root = join(directory, "net");
  mkdirSync(root);
  const device = (name: string, type: string, kind: "virtual" | "pci", isTun = false) => {
    const path = join(directory, "devices", kind, "net", name);
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, "type"), `${type}\n`);
    if (isTun) writeFileSync(join(path, "tun_flags"), "0x1001\n");
    symlinkSync(path, join(root, name));
  };
  device("wg0", "65534", "virtual");
  device("tap0", "1", "virtual", true);
  const types = ["768", "769", "776", "778", "823"];
  for (const type of types) device(`tunnel${type}`, type, "virtual");
  device("wwan0", "65534", "pci");
  device("br0", "1", "virtual");
  device("eth0", "1", "pci");
  const tunnels = ["wg0", "tap0", ...types.map((type) => `tunnel${type}`)];
  const names = [...tunnels, "wwan0", "br0", "eth0", "none"];
  expect(names.filter((name) => isTunnel(name, root))).toEqual(tunnels);
});

testUnless(
  missing("Linux"),
  "deviceTo() returns the network interface of the route, and undefined without a route",
  async () => {
    const { lo } = networkInterfaces();
    expect(lo).toBeDefined();
    expect(await deviceTo({ address: "127.0.0.1", port: 9 })).toBe("lo");
    expect(await deviceTo({ address: "::1", port: 9 })).toBe("lo");
    for (const [name, addresses = []] of Object.entries(networkInterfaces()))
      for (const { address, family } of addresses)
        if (family === "IPv4") expect(await deviceTo({ address, port: 9 })).toBe(name);
  },
);

testUnless(
  missing("Linux"),
  "connectedTo() lists only the connections of this process to a port",
  async () => {
    const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const socket = createConnection({ host: "127.0.0.1", port: server.port });
    await new Promise((resolve) => socket.once("connect", resolve));
    expect(connectedTo(server.port)).toEqual(["127.0.0.1"]);
    expect(connectedTo(1)).toEqual([]);
    const script = `require("net").connect(${server.port},"127.0.0.1",()=>{console.log("up");setTimeout(()=>{},60000)})`;
    socket.destroy();
    const other = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "ignore" });
    try {
      await other.stdout.getReader().read();
      await until("only the other process is connected", () => connectedTo(server.port).length === 0);
    } finally {
      other.kill("SIGKILL");
      server.stop(true);
    }
  },
);

testUnless(
  missing("Linux", "root", "setpriv"),
  "resolverUsers() returns root and the user of the program on port 53",
  async () => {
    const port = 53;
    const tables = { "/proc/self/net/udp": "", "/proc/self/net/udp6": "" };
    expect(resolverUsers((path) => tables[path as keyof typeof tables] ?? "")).toEqual([0]);
    const socket = Bun.spawn(
      [
        "setpriv",
        ...["--reuid=65533", "--regid=65533", "--clear-groups"],
        process.execPath,
        "-e",
        `const s=require("dgram").createSocket("udp4");s.bind(0,"127.0.0.1",()=>console.log(s.address().port));setTimeout(()=>{},60000)`,
      ],
      { stdout: "pipe", stderr: "ignore" },
    );
    try {
      const { value } = await socket.stdout.getReader().read();
      const used = Number(new TextDecoder().decode(value).trim());
      const hex = (number: number) => number.toString(16).toUpperCase().padStart(4, "0");
      // Port 53 can be in use on this host. The test uses another port and replaces its number with 53 in the
      // socket table.
      const { readFileSync } = await import("node:fs");
      const read = (path: string): string =>
        readFileSync(path, "utf8").replaceAll(`:${hex(used)}`, `:${hex(port)}`);
      expect(resolverUsers(read)).toContain(65_533);
      expect(resolverUsers(read)).toContain(0);
    } finally {
      socket.kill("SIGKILL");
    }
  },
);
