import { availableParallelism, homedir, loadavg, userInfo } from "node:os";
import { type CommandName, parseArguments } from "./cli/arguments.ts";
import { enroll } from "./cli/enroll.ts";
import { explain } from "./cli/explain.ts";
import { fail, loginOf, type Machine, type Verb } from "./cli/machine.ts";
import { release } from "./cli/release.ts";
import { run } from "./cli/run.ts";
import { scan } from "./cli/scan.ts";
import { service } from "./cli/service.ts";
import { status } from "./cli/status.ts";
import { AGENT_VERSION } from "./config.ts";
import { codeOf, StateFault } from "./disk.ts";

const VERBS: Readonly<Record<CommandName, Verb>> = { enroll, run, status, release, scan, explain, service };

const stop = new AbortController();
process.on("SIGTERM", () => stop.abort());
process.on("SIGINT", () => stop.abort());

const machine: Machine = {
  platform: process.platform,
  env: process.env,
  isRoot: process.getuid?.() === 0,
  home: homedir(),
  user: process.env.SUDO_USER ?? loginOf(process.getuid?.(), userInfo().username),
  pid: process.pid,
  execPath: process.execPath,
  clock: Date.now,
  elapsed: () => performance.now(),
  cpuMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
  loadPerCore: () => loadavg()[0]! / availableParallelism(),
  random: Math.random,
  fetch: (url, init) => fetch(url, init),
  print: (line) => process.stdout.write(`${line}\n`),
  complain: (line) => process.stderr.write(`${line}\n`),
  stopping: stop.signal,
};

async function main(): Promise<number> {
  const parsed = parseArguments(process.argv.slice(2), AGENT_VERSION);
  if (parsed.is === "wrong") return fail(machine, parsed.reason, 2);
  if (parsed.is === "text") {
    machine.print(parsed.text);
    return 0;
  }
  try {
    return await VERBS[parsed.name](machine, parsed.values, parsed.word);
  } catch (cause) {
    if (cause instanceof StateFault) return fail(machine, cause.message);
    const reason = cause instanceof Error ? cause.message.split("\n")[0] : codeOf(cause);
    return fail(machine, `${parsed.name} failed: ${reason}`);
  }
}

// Left to the event loop's end, a pipe on stdout is written in full; sockets in the pool do not keep us alive.
process.exitCode = await main();
process.exit();
