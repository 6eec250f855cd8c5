import { homedir } from "node:os";
import { createMemory } from "../../agent/platform/trim-memory.ts";
import { systemReaders } from "../../agent/scan/platform/system-readers.ts";
import { serveReads } from "../../agent/scan/reader-process/reader-process.ts";
import { createScanner } from "../../agent/scan/scan.ts";

/*
 * Runs only the scanner of the daemon: one scan at the start, then one scan per interval. Prints one JSON
 * line per scan to stdout. Stops when standard input is closed.
 */
if (process.argv[2] === "reader") {
  await serveReads(() => performance.now());
  process.exit(0);
}
const intervalMs = Number(process.argv[2]);
const scanner = createScanner(
  systemReaders({
    platform: process.platform,
    procRoot: "/proc",
    selfPid: process.pid,
    homes: () => [homedir()],
    clock: Date.now,
    elapsed: () => performance.now(),
  }),
);
const memory = createMemory({ platform: process.platform, elapsed: () => performance.now() });

async function scan(): Promise<void> {
  const { engines, durationMs } = await scanner.scan();
  memory.settle();
  console.log(JSON.stringify({ durationMs, engines: engines.map(({ pid, id }) => ({ pid, id })) }));
}

await scan();
setInterval(() => void scan(), intervalMs);
for await (const _ of process.stdin) {
  // Standard input carries no data. This process stops when standard input is closed.
}
process.exit(0);
