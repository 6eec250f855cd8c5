import { createSocket } from "node:dgram";

/**
 * Runs beyond the contained host: a control plane, a proxy, a name server whose answers rotate, and peers that echo what
 * they get on the ports that exceptions name.
 *
 * @argv addresses of: control plane, proxy, name server, then peers that echo; last the first three parts of the
 * addresses that the name of the control plane rotates through
 */
const [control, proxy, names, ...rest] = process.argv.slice(2) as [string, string, string, ...string[]];
const pool = rest.pop()!;
const POOL_SIZE = 60;

const healthy = () => new Response("ok");
Bun.serve({ hostname: control, port: 8787, fetch: healthy });
Bun.serve({ hostname: "::", port: 8788, fetch: healthy });
// Responds to a request for any URL, as a proxy of plain HTTP does.
Bun.serve({ hostname: proxy, port: 3128, fetch: healthy });
for (const hostname of rest)
  Bun.listen({ hostname, port: 9000, socket: { data: (socket, bytes) => void socket.write(bytes) } });

/** Datagrams that came to port 67, by the address they came to being this peer's or any (broadcast). */
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
  // A record of class IN that lives for no time at all.
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...pool.split(".").map(Number), last]);
  server.send(Buffer.concat([header, question, ...(isA ? [record] : [])]), port, address);
});
server.bind(53, names);

console.log(JSON.stringify("ready"));
for await (const _line of console) {
  console.log(JSON.stringify(taken));
  taken = 0;
}
