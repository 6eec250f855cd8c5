import { homedir } from "node:os";
import { systemReaders } from "../../agent/scan/platform/system-readers.ts";
import { serveReads } from "../../agent/scan/reader-process/reader-process.ts";
import { createScanner } from "../../agent/scan/scan.ts";

/*
 * Runs the scanner of the daemon: one scan at the start, then one scan per interval. The argument is the
 * interval in ms. Prints a JSON line to stdout for each scan that reports a new engine. Stops when standard
 * input is closed.
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
const seen = new Set<string>();

async function scan(): Promise<void> {
  const { engines, durationMs } = await scanner.scan();
  const fresh = engines.filter(({ pid, id }) => !seen.has(`${pid} ${id}`));
  for (const { pid, id } of fresh) seen.add(`${pid} ${id}`);
  console.log(JSON.stringify({ durationMs, fresh: fresh.map(({ pid, id }) => ({ pid, id })) }));
}

void (async () => {
  for (;;) {
    await scan();
    await Bun.sleep(intervalMs);
  }
})();
for await (const _ of process.stdin) {
  // Standard input carries no data. This process stops when standard input is closed.
}
process.exit(0);
