import { createSocket } from "node:dgram";

/**
 * Servers that run on the other side of the contained host's network: a control plane, a proxy, and a DNS
 * server that rotates its responses. On the ports that the exceptions name, peers send back what they
 * receive.
 *
 * @argv addresses of the control plane, the proxy, the DNS server and the peers; then the first three octets
 * of the addresses that the DNS server rotates through
 */
const [control, proxy, names, ...rest] = process.argv.slice(2) as [string, string, string, ...string[]];
const pool = rest.pop()!;
const POOL_SIZE = 60;

const healthy = () => new Response("ok");
Bun.serve({ hostname: control, port: 8787, fetch: healthy });
Bun.serve({ hostname: "::", port: 8788, fetch: healthy });
// A stub of a plain HTTP proxy: it responds to a request for any URL.
Bun.serve({ hostname: proxy, port: 3128, fetch: healthy });
for (const hostname of rest)
  Bun.listen({ hostname, port: 9000, socket: { data: (socket, bytes) => void socket.write(bytes) } });

/** Number of datagrams received on port 67, sent either to an address of this peer or to the broadcast address. */
let taken = 0;
for (const address of [...rest, "0.0.0.0"]) {
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  socket.on("message", (bytes, { address: from, port }) => {
    taken++;
    socket.send(bytes, port, from);
  });
  socket.bind(67, address);
}

let turn = 0;
const server = createSocket("udp4");
server.on("message", (query, { address, port }) => {
  let end = 12;
  while (query[end] !== 0) end += query[end]! + 1;
  const type = query.readUInt16BE(end + 1);
  const question = query.subarray(12, end + 5);
  const isA = type === 1;
  const header = Buffer.from([...query.subarray(0, 2), 0x81, 0x80, 0, 1, 0, isA ? 1 : 0, 0, 0, 0, 0]);
  const last = (turn++ % POOL_SIZE) + 1;
  // A DNS record of type A and class IN with a TTL of 0.
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...pool.split(".").map(Number), last]);
  server.send(Buffer.concat([header, question, ...(isA ? [record] : [])]), port, address);
});
server.bind(53, names);

console.log(JSON.stringify("ready"));
for await (const _line of console) {
  console.log(JSON.stringify(taken));
  taken = 0;
}
