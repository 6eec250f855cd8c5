/*
 * Servers that answer 60 kB of dense JSON on every path: twenty thousand values, which take fifty times their size in
 * memory once they are parsed. Half of them answer lists, half objects. Prints a line when all listen.
 */
const LISTENERS = 32;
const LISTS = Array.from({ length: 20_000 }, () => "[]").join(",");
const OBJECTS = Array.from({ length: 4500 }, (_, at) => `{"a${at}":[]}`).join(",");

const headers = { "content-type": "application/json" };
for (let at = 0; at < LISTENERS; at += 1) {
  const dense = at % 2 === 0 ? LISTS : OBJECTS;
  Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    // Another body for each path: the same one on every path is known for a stub.
    fetch: (request) =>
      new Response(`[${JSON.stringify(new URL(request.url).pathname)},${dense}]`, { headers }),
  });
}
console.log("ready");
