import { createInterface } from "node:readline";
import { startEdge } from "../../report/send-edge.ts";

/**
 * Runs the test edge on the other side of the contained host's network. Each line on stdin contains the
 * claims of a directive, which is signed and sent to the agent. Prints the edge's address to stdout, then one
 * line with the matching report for each directive.
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
