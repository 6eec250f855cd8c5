/**
 * Servers that run on the other side of the contained host's network: a control plane on the first two
 * addresses, and an echo peer on each of the other addresses.
 */
const [control4, control6, ...peers] = process.argv.slice(2) as [string, string, ...string[]];
for (const hostname of [control4, control6])
  Bun.serve({ hostname, port: 8787, fetch: () => new Response("ok") });
for (const hostname of peers) {
  Bun.listen({ hostname, port: 9000, socket: { data: (socket, bytes) => void socket.write(bytes) } });
}
console.log("ready");
