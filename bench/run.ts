import { join } from "node:path";
import type { Command } from "../shared/command-line/options.ts";
import { readProcessArguments } from "../shared/command-line/read-process-arguments.ts";
import { WITH_PARENT } from "./harness/end-with-parent.ts";

/**
 * Benches by folder, with a description. Each bench is a separate program, so that code that another bench
 * has warmed up does not affect it.
 */
const FOLDERS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  edge: {
    ingest: "the edge's ingest path, compared with a server that only returns 202",
    herd: "concurrent enrolments and admin changes in one tenant, on one node and on two nodes",
  },
  pipeline: {
    pipeline:
      "a fleet through edge, queue, worker and table; checks that no heartbeat is lost or stored twice",
  },
  worker: {
    worker: "verifying, decoding and evaluating heartbeats, without network",
    day: "a simulated day of heartbeats in the worker; counts the incidents",
  },
  dashboard: {
    dashboard: "the overview page of a large fleet, cold and warm",
    incidents: "the dashboard's incident query on a large and on a small table",
  },
  agent: {
    agent: "the cost of one scan and of the daemon",
    containment: "time from an administrator's request to the agent's proof",
  },
  mutation: { mutation: "small changes to the high-risk modules; counts how many changes the tests detect" },
  detection: {
    detection: "real programs from package registries; counts how many the agent identifies correctly",
  },
};
const BENCHES = Object.assign({}, ...Object.values(FOLDERS)) as Record<string, string>;
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
const name = operands[0]!;
const folder = Object.keys(FOLDERS).find((folder) => name in FOLDERS[folder]!)!;
const child = Bun.spawn([process.execPath, join(import.meta.dir, folder, `${name}.ts`), ...rest], {
  stdio: ["pipe", "inherit", "inherit"],
  env: { ...process.env, [WITH_PARENT]: "1" },
});
// The terminal sends Ctrl-C to both processes. The bench stops everything it has started, and this process
// waits for it.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
process.exit(await child.exited);
