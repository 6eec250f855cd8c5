import { dlopen, ptr } from "bun:ffi";
import { createSocket } from "node:dgram";

/*
 * Sends packets from inside a namespace, as described by one JSON object on the command line. Prints the
 * number of packets that came back.
 *
 * {"udp": {"from": 68, "to": "192.0.2.1", "port": 67, "count": 50, "bytes": 300}}
 *
 * {"icmp6": {"type": 135, "to": "fe80::1", "hops": 255, "count": 5, "bytes": 50, "device": 2}}
 */
type Udp = { bind?: string; from: number; to: string; port: number; count: number; bytes: number };
type Icmp6 = { type: number; to: string; hops: number; count: number; bytes: number; device: number };
const order = JSON.parse(process.argv[2]!) as { udp?: Udp; icmp6?: Icmp6 };

const ANSWER_MS = 400;

async function sendUdp({ bind, from, to, port, count, bytes }: Udp): Promise<number> {
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  await new Promise<void>((resolve) => socket.bind(from, bind, resolve));
  socket.setBroadcast(true);
  let back = 0;
  socket.on("message", () => back++);
  socket.on("error", () => {});
  const sendOnce = (): Promise<boolean> =>
    new Promise((resolve) => socket.send(Buffer.alloc(bytes), port, to, (fault) => resolve(!fault)));
  // A pending error of an earlier packet can make this send fail. The failed packet is sent again.
  for (let sent = 0; sent < count; sent++) if (!(await sendOnce())) await sendOnce();
  await Bun.sleep(ANSWER_MS); // Only packets that come back during this pause are counted.
  socket.close();
  return back;
}

/** Constants from asm-generic/socket.h and linux/in6.h. */
const [AF_INET6, SOCK_RAW, ICMPV6, IPPROTO_IPV6] = [10, 3, 58, 41];
const [UNICAST_HOPS, MULTICAST_IF, MULTICAST_HOPS] = [16, 17, 18];

function sendIcmp6({ type, to, hops, count, bytes, device }: Icmp6): number {
  const { symbols } = dlopen("libc.so.6", {
    socket: { args: ["int", "int", "int"], returns: "int" },
    setsockopt: { args: ["int", "int", "int", "ptr", "int"], returns: "int" },
    sendto: { args: ["int", "ptr", "u64", "int", "ptr", "int"], returns: "i64" },
  });
  const socket = symbols.socket(AF_INET6, SOCK_RAW, ICMPV6);
  if (socket < 0) throw new Error("no raw socket");
  for (const [option, value] of [
    [UNICAST_HOPS, hops],
    [MULTICAST_HOPS, hops],
    [MULTICAST_IF, device],
  ] as const)
    symbols.setsockopt(socket, IPPROTO_IPV6, option, ptr(new Int32Array([value])), 4);
  const address = Buffer.alloc(28);
  address.writeUInt16LE(AF_INET6, 0);
  groupsOf(to).forEach((group, index) => void address.writeUInt16BE(group, 8 + 2 * index));
  if (/^f[ef]/i.test(to)) address.writeUInt32LE(device, 24);
  const packet = Buffer.alloc(bytes);
  packet[0] = type;
  let sent = 0;
  for (let each = 0; each < count; each++)
    if (symbols.sendto(socket, ptr(packet), BigInt(bytes), 0, ptr(address), 28) > 0) sent++;
  return sent;
}

function groupsOf(address: string): number[] {
  const [head = "", tail = ""] = address.split("::");
  const read = (text: string): number[] =>
    text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
  const [before, after] = [read(head), read(tail)];
  return [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after];
}

console.log(JSON.stringify(order.udp ? await sendUdp(order.udp) : sendIcmp6(order.icmp6!)));
process.exit(0);
