import { dlopen, ptr } from "bun:ffi";
import { createSocket } from "node:dgram";
import { openSync, read, write } from "node:fs";

/**
 * One end of a VPN in user space. Packets that enter the tun device are sent over UDP to the other end.
 * Packets from the other end enter the device.
 *
 * @argv name of the device, local address and port, address and port of the other end
 */
const [device, here, herePort, there, therePort] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];

/**
 * Constants from linux/if_tun.h: `TUNSETIFF`, and flags for a device without link layer and header (`IFF_TUN
 * | IFF_NO_PI`).
 */
const TUNSETIFF = 0x400454ca;
const FLAGS = 0x1001;
const MTU_MAX = 2048;

const tun = openSync("/dev/net/tun", "r+");
const request = Buffer.alloc(40);
request.write(device, 0);
request.writeUInt16LE(FLAGS, 16);
const { symbols } = dlopen("libc.so.6", { ioctl: { args: ["int", "u64", "ptr"], returns: "int" } });
if (symbols.ioctl(tun, BigInt(TUNSETIFF), ptr(request)) !== 0) throw new Error(`no device ${device}`);

const socket = createSocket("udp4");
socket.on("error", () => {});
socket.on("message", (packet) => write(tun, packet, () => {}));
socket.bind(Number(herePort), here, () => {
  console.log(JSON.stringify("ready"));
  const buffer = Buffer.alloc(MTU_MAX);
  const next = (): void =>
    read(tun, buffer, 0, MTU_MAX, null, (_fault, bytes) => {
      if (bytes > 0) socket.send(Buffer.from(buffer.subarray(0, bytes)), Number(therePort), there);
      setImmediate(next);
    });
  next();
});
