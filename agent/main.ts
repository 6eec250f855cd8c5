import { availableParallelism, homedir, loadavg, userInfo } from "node:os";
import { base64url } from "../shared/encoding/bytes.ts";
import { messageOf } from "../shared/observability/error-message.ts";
import { loginOf } from "./cli/accounts.ts";
import { parseArguments, settingFlags } from "./cli/arguments.ts";
import { COMMANDS, type CommandName } from "./cli/commands.ts";
import { fail, type Machine, type Verb } from "./cli/machine.ts";
import { resolveSettings } from "./daemon/settings.ts";
import { hardwareOf } from "./identity/hardware/fingerprint.ts";
import { takeProxyVariables } from "./network/proxy.ts";
import { codeOf, StateFault } from "./platform/state-files.ts";

/**
 * Each command is loaded only when it is used, so that the daemon does not keep the code of other commands in
 * memory.
 */
const VERBS: Readonly<Record<CommandName, () => Promise<Verb>>> = {
  enroll: async () => (await import("./cli/enroll.ts")).enroll,
  run: async () => (await import("./cli/run.ts")).run,
  status: async () => (await import("./cli/status.ts")).status,
  release: async () => (await import("./cli/release.ts")).release,
  scan: async () => (await import("./cli/scan.ts")).scan,
  explain: async () => (await import("./cli/explain.ts")).explain,
  doctor: async () => (await import("./cli/doctor.ts")).doctor,
  service: async () => (await import("./cli/service.ts")).service,
};

const stop = new AbortController();
process.on("SIGTERM", () => stop.abort());
process.on("SIGINT", () => stop.abort());
// Ignore stdout and stderr errors, so that a closed pipe or a full disk does not end the daemon.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

/** One promise per printed line. It resolves after the write, with an error if the write failed. */
const written: Promise<Error | null | undefined>[] = [];
const print = (line: string): void => {
  written.push(new Promise((resolve) => process.stdout.write(`${line}\n`, resolve)));
};

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
  runId: base64url(crypto.getRandomValues(new Uint8Array(16))),
  hardware: (tenantId) => hardwareOf(process.platform, tenantId),
  fetch: (url, init) => fetch(url, init),
  proxyVariables: takeProxyVariables(process.env),
  input: async (charactersMax) => {
    let text = "";
    for await (const chunk of process.stdin) {
      text += chunk;
      if (text.length > charactersMax) break;
    }
    return text.slice(0, charactersMax);
  },
  print,
  complain: (line) => process.stderr.write(`${line}\n`),
  stopping: stop.signal,
  stop: () => stop.abort(),
};

async function main(): Promise<number> {
  // Internal command. It starts a child process that reads files for the daemon or for a scan.
  if (process.argv[2] === "reader") {
    await (await import("./scan/reader-process/reader-process.ts")).serveReads(machine.elapsed);
    return 0;
  }
  const parsed = parseArguments(process.argv.slice(2));
  if (parsed.is === "wrong") return fail(machine, parsed.reason, 2);
  if (parsed.is === "text") {
    machine.print(parsed.text);
    return 0;
  }
  const { name } = parsed;
  const resolved = resolveSettings(machine, settingFlags(parsed), Object.keys(COMMANDS[name].options));
  if (!resolved.ok && name === "doctor")
    return (await import("./cli/doctor.ts")).reportBadSettings(machine, parsed, resolved.reason);
  if (!resolved.ok) return fail(machine, resolved.reason, 2);
  try {
    const verb = await VERBS[name]();
    return await verb(machine, { ...parsed, settings: resolved.settings });
  } catch (cause) {
    if (cause instanceof StateFault) return fail(machine, cause.message);
    const reason = messageOf(cause, codeOf(cause)).split("\n")[0];
    return fail(machine, `${name} failed: ${reason}`);
  }
}

const code = await main();
// A program that reads the output, such as `head`, can close the pipe early (EPIPE). Any other write error is
// a failure.
const lost = (await Promise.all(written)).find((fault) => fault && codeOf(fault) !== "EPIPE");
// Idle sockets in the connection pool must not keep the process alive.
process.exit(lost ? fail(machine, `cannot write the output (${codeOf(lost)})`) : code);
