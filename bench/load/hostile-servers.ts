/*
 * Servers that return 60 kB of dense JSON on every path. The JSON has twenty thousand values, and its parsed
 * form uses fifty times as much memory as its text. Half of the servers return lists, the other half objects.
 * Prints a line when all servers are listening.
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
    // Each path has a different body, because the agent recognises servers that return the same body on every
    // path.
    fetch: (request) =>
      new Response(`[${JSON.stringify(new URL(request.url).pathname)},${dense}]`, { headers }),
  });
}
console.log("ready");
