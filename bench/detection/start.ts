import { appendFileSync, chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { freePort } from "../../local/free-port.ts";
import type { Scope } from "../harness/scope.ts";
import { renamed } from "./executable.ts";
import type { Place, Program } from "./program.ts";
import { endProgram, markOf } from "./program-of-process.ts";
import { listens, staysFor } from "./wait-until-listening.ts";

const READY_MS_MAX = 300_000;
/** Running time in ms after which a program without a port counts as started. */
const STAYS_MS = 6000;
const SPARE_PORTS = 6;
const NOBODY = 65_534;
const KEY = "sk-lab-0123456789abcdef0123456789abcdef";

/** Address and ports of a program. `own` is undefined for a program without a port. */
export type Ports = { own: number | undefined; tls: number | undefined; host: string };
export type Running = {
  program: Program;
  command: readonly string[];
  ports: Ports;
  /** Time at which the program was ready, as returned by `performance.now()`. */
  readyAtMs: number;
  isRunning: () => boolean;
};
export type Failed = { program: Program; reason: string };

export type Where = { folder: string; home: string; gguf: string };

/**
 * Starts a program and waits until it listens on its port. A program without a port must run for {@link
 * STAYS_MS}.
 */
export async function startProgram(scope: Scope, program: Program, where: Where): Promise<Running | Failed> {
  const place = await placeOf(program, where);
  const start = program.start(place);
  const log = join(where.home, "lab.log");
  writeFileSync(log, "");
  const command = [
    ...(program.nobody && process.getuid?.() === 0
      ? ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"]
      : []),
    ...(program.as ? renamed(start.command, program.as, where.home) : start.command),
  ];
  const env = { ...environmentOf(program, where), ...start.env };
  const cwd = start.cwd ?? where.home;
  const say = (bytes: Uint8Array) => appendFileSync(log, bytes);
  const child = start.terminal
    ? Bun.spawn(command, {
        env,
        cwd,
        terminal: { cols: 100, rows: 30, data: (_terminal, bytes) => say(bytes) },
      })
    : Bun.spawn(command, { env, cwd, stdin: "pipe", stdout: Bun.file(log), stderr: Bun.file(log) });
  scope.keep(() => endProgram(program.name));
  const isRunning = () => child.exitCode === null && child.signalCode === null;

  const isUp =
    start.ready === "process"
      ? await staysFor(STAYS_MS, () => !isRunning())
      : await listens(place.host, place.port, READY_MS_MAX, () => !isRunning());
  if (!isUp) {
    const words = readFileSync(log, "utf8").trim().slice(-1500);
    return {
      program,
      reason: `${isRunning() ? "does not listen" : `exited with ${child.exitCode}`}: ${words}`,
    };
  }
  const tls = program.tls ? await startTlsProxy(scope, place, env) : undefined;
  const own = start.ready === "process" ? undefined : place.port;
  const ports = { own, tls, host: place.host };
  return { program, command, ports, readyAtMs: performance.now(), isRunning };
}

async function placeOf(program: Program, { folder, home, gguf }: Where): Promise<Place> {
  const ports: number[] = [];
  for (let count = 0; count <= SPARE_PORTS; count += 1) ports.push(await freePort());
  const { registry } = program.source;
  return {
    bin: (name) => join(folder, registry === "npm" ? "node_modules/.bin" : "bin", name),
    file: (path) => join(folder, path),
    app: (name) => join(import.meta.dir, "apps", name),
    write: (name, text) => {
      const path = join(home, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
      return path;
    },
    home,
    host: program.address ?? "127.0.0.1",
    port: ports[0]!,
    spare: ports.slice(1),
    gguf,
    key: program.key ? KEY : undefined,
  };
}

/** A minimal environment, so that a program finds no API keys or settings from this host. */
function environmentOf({ name, source, nobody }: Program, { folder, home }: Where): Record<string, string> {
  const temporary = join(home, "tmp");
  mkdirSync(temporary, { recursive: true });
  if (nobody && process.getuid?.() === 0)
    for (const path of [home, temporary]) chownSync(path, NOBODY, NOBODY);
  chmodSync(home, 0o755);
  const libraries = [
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "lib/x86_64-linux-gnu",
    "usr/lib",
  ];
  return {
    PATH: process.env.PATH ?? "/usr/bin:/bin",
    LANG: "C.UTF-8",
    TERM: "xterm-256color",
    HOME: home,
    TMPDIR: temporary,
    RAY_TMPDIR: home,
    ...markOf(name),
    ...(source.registry === "debian" && {
      LD_LIBRARY_PATH: libraries.map((path) => join(folder, path)).join(":"),
    }),
  };
}

async function startTlsProxy(
  scope: Scope,
  { host, port }: Place,
  env: Record<string, string>,
): Promise<number> {
  const own = await freePort();
  const script = join(import.meta.dir, "tls-proxy.ts");
  const child = Bun.spawn([process.execPath, script, host, String(own), host, String(port)], {
    env,
    stdio: ["ignore", "ignore", "inherit"],
  });
  scope.keep(() => child.kill("SIGKILL"));
  if (!(await listens(host, own, READY_MS_MAX, () => child.exitCode !== null)))
    throw new Error("the TLS proxy did not start to listen");
  return own;
}
