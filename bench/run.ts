import { join } from "node:path";
import type { Command } from "../shared/command-line/options.ts";
import { readProcessArguments } from "../shared/command-line/read-process-arguments.ts";
import { WITH_PARENT } from "./parent.ts";

/** `bun run bench NAME [options]`: each bench is a program of its own, so that none warms up another's code. */
const BENCHES = {
  ingest: "the hot path of the edge, compared with a bare server",
  pipeline: "a fleet through edge, queue, worker and table: no heartbeat lost, none stored twice",
  worker: "verifying, decoding and evaluating heartbeats, without network",
  incidents: "the dashboard's query for incidents on a large and on a small table",
  day: "a day of a fleet through the worker, and the number of incidents",
  agent: "one scan, and the cost of the daemon",
  containment: "time from an administrator's request to the agent's proof",
  dashboard: "the overview page of a large fleet, cold and warm",
  herd: "simultaneous enrolments and admin changes of one tenant, on one node and on two",
  mutation: "small changes to the high-risk modules, and how many of them the tests notice",
  detection: "real programs from the registries: how many the agent names, and which it names wrongly",
};
const COMMAND: Command = {
  summary: "run a benchmark",
  operands: [{ name: "NAME", of: Object.keys(BENCHES), help: "the benchmark" }],
  options: {},
  tables: [{ title: "Benchmarks:", rows: BENCHES }],
  notes: [
    "bun run bench NAME --help describes the options of a benchmark. With --json, the last line of stdout is one JSON object.",
  ],
};

const [, , first, ...rest] = process.argv;
const { operands } = readProcessArguments("bun run bench", COMMAND, first === undefined ? [] : [first]);
const file = join(import.meta.dir, `${operands[0]}.ts`);
const child = Bun.spawn([process.execPath, file, ...rest], {
  stdio: ["pipe", "inherit", "inherit"],
  env: { ...process.env, [WITH_PARENT]: "1" },
});
// Ctrl-C reaches both: the bench stops what it started, and this waits for it.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
process.exit(await child.exited);
