/*
 * Stores one catalogue after another in a state directory until the process is killed.
 *
 * @argv state directory, file of signed documents (one JSON string per line), pinned keys
 */
import { readFileSync } from "node:fs";
import { openCatalogue } from "../../../../agent/daemon/catalogue-update.ts";
import { silent } from "../../../../agent/platform/log.ts";

const [directory, file, jwks] = process.argv.slice(2) as [string, string, string];
const documents = readFileSync(file, "utf8").trimEnd().split("\n");
let nowMs = Date.now();
let served = "";
const updates = await openCatalogue({
  edgeUrl: "http://edge.test",
  directory,
  fetch: async () => new Response(served),
  pins: () => JSON.parse(jwks),
  builtIn: { version: "2026.11.21", entries: [] },
  clock: () => nowMs,
  pause: async () => {},
  log: silent,
});
console.log("ready");
for (const document of documents) {
  served = JSON.parse(document) as string;
  nowMs += 24 * 3_600_000;
  await updates.update(new AbortController().signal);
}
console.log("done");
