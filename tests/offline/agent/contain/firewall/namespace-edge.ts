import { createInterface } from "node:readline";
import { startEdge } from "../../report/send-edge.ts";

/**
 * The tests' edge beyond the contained host. Each line on stdin, the claims of a directive, is signed and handed
 * to the agent; stdout gets the address, then per line the report that proves it.
 */
const edge = await startEdge(undefined, process.argv[2]);
console.log(JSON.stringify(edge.url));
for await (const line of createInterface({ input: process.stdin })) {
  const claims = JSON.parse(line);
  edge.directive = await edge.direct(claims);
  let report = edge.taken.at(-1)?.containment;
  while (report?.generation !== claims.generation || report?.outcome === "none") {
    await Bun.sleep(5);
    report = edge.taken.at(-1)?.containment;
  }
  console.log(JSON.stringify({ report }));
}
process.exit(0);
