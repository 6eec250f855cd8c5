import { existsSync } from "node:fs";
import { join } from "node:path";
import { WITH_PARENT } from "./parent.ts";

/** `bun run bench NAME [options]`: each bench is a program of its own, so that none warms up another's code. */
const BENCHES = [
  "ingest",
  "pipeline",
  "worker",
  "incidents",
  "day",
  "agent",
  "containment",
  "dashboard",
  "herd",
  "mutation",
  "detection",
];
const HELP = `usage: bun run bench NAME [options]

  ingest       the edge's hot path beside a bare server
  pipeline     a fleet through edge, queue, worker and table; nothing lost, nothing doubled
  worker       verify, decode, evaluate, without network
  incidents    the dashboard's query on a large table beside a small one
  day          a day of a fleet through the worker, and how many incidents come of it
  agent        one scan, and what the daemon costs
  containment  from an admin's request to the agent's proof
  dashboard    the overview of a large fleet, cold and warm
  herd         enrolments and admin changes of one tenant at once, on one node and on two
  mutation     small changes to the high-risk modules, and how many of them the tests notice
  detection    real programs from the registries: how many the agent names, and what it names wrongly

bun run bench NAME --help tells more. With --json the last line of stdout is one JSON object.`;

const [name, ...rest] = process.argv.slice(2);
if (name === "--help" || name === "-h" || name === "help") {
  console.log(HELP);
  process.exit(0);
}
const file = join(import.meta.dir, `${name}.ts`);
if (name === undefined || !BENCHES.includes(name) || !existsSync(file)) {
  console.error(`bench: one of ${BENCHES.join(", ")} is needed, see bun run bench --help`);
  process.exit(2);
}
const child = Bun.spawn([process.execPath, file, ...rest], {
  stdio: ["pipe", "inherit", "inherit"],
  env: { ...process.env, [WITH_PARENT]: "1" },
});
// Ctrl-C reaches both: the bench stops what it started, and this waits for it.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
process.exit(await child.exited);
