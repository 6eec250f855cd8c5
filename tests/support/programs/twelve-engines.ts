import { copyFileSync, linkSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { catalogue } from "../../../agent/catalogue/engines/list.ts";
import type { Fixture } from "../../../agent/catalogue/entry.ts";
import type { Engine } from "../../../shared/wire/heartbeat.ts";

/*
 * Simulates a realistic host. Twelve products listen on unusual ports beside unrelated servers. Some are
 * renamed, and some need TLS or a token. Every server is a separate process. Its responses come from a
 * fixture of the catalogue, which names their source.
 */

type Case = {
  id: string;
  /** True if the server requires a token. Without the token, most requests get status 401 or 403. */
  token?: boolean;
  tls?: boolean;
  address?: string;
  /** Name of the executable. Absent if Bun runs the server as a script. */
  as?: string;
};

const DOZEN: readonly Case[] = [
  { id: "ollama", as: "postgres" },
  { id: "ollama", tls: true, address: "::1" },
  { id: "llama-cpp", as: "holiday-photos" },
  { id: "llama-cpp", token: true },
  { id: "vllm", token: true, as: "nginx" },
  { id: "koboldcpp", tls: true },
  { id: "sglang", token: true, tls: true },
  { id: "litellm", token: true, address: "0.0.0.0" },
  { id: "localai", token: true },
  { id: "tabbyapi", tls: true, as: "backup" },
  { id: "comfyui" },
  { id: "open-webui" },
  { id: "tgi", address: "::1" },
  { id: "lm-studio" },
];

const page = (body: string) => ({ "*": { body } });
const ORDINARY: readonly { as?: string; spec: object }[] = [
  { as: "llama-backup", spec: { kind: "http", answers: { "/health": { body: { status: "ok" } } } } },
  { as: "ollama", spec: { kind: "http", answers: page("<!doctype html><title>Notes</title>") } },
  { spec: { kind: "http", answers: { "*": { status: 401, body: { error: "Unauthorized" } } } } },
  {
    spec: {
      kind: "https",
      answers: { "/": { headers: { server: "nginx/1.27.0" }, body: "Welcome to nginx!" } },
    },
  },
  { spec: { kind: "http", answers: { "/metrics": { body: "# HELP prometheus_build_info x\n" } } } },
  { as: "postgres", spec: { kind: "banner" } },
  { spec: { kind: "mute" } },
];

const TLS_DIRECTORY = join(import.meta.dir, "../../fixtures/tls");

export type Started = { wanted: Case; pid: number; port: number };
export type Dozen = { engines: Started[]; ordinary: number[]; stop: () => void };

/** Starts all servers. They end when the process that started them ends. */
export async function startDozen(): Promise<Dozen> {
  const directory = mkdtempSync(join(tmpdir(), "lz-dozen-"));
  const children: Bun.Subprocess[] = [];

  const script = join(import.meta.dir, "../../offline/agent/scan/scan-server.ts");
  /**
   * The server is compiled, because real engines are compiled programs. A renamed Bun would still count as an
   * interpreter.
   */
  const compiled = join(directory, "server");
  const built = Bun.spawnSync([process.execPath, "build", "--compile", script, "--outfile", compiled]);
  if (!built.success) throw new Error(`the server was not built: ${built.stderr}`);

  /**
   * Makes a copy of the server program with this name in a separate directory, and returns the path of the
   * copy. The copy is a hard link if the file system allows one.
   */
  function renamed(name: string): string {
    const path = join(mkdtempSync(join(directory, "bin-")), name);
    try {
      linkSync(compiled, path);
    } catch {
      copyFileSync(compiled, path);
    }
    return path;
  }

  async function serve(as: string | undefined, spec: object): Promise<{ pid: number; port: number }> {
    const program = as === undefined ? [process.execPath, script] : [renamed(as)];
    const child = Bun.spawn([...program, JSON.stringify([spec])], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
      cwd: directory,
      env: { ...process.env, TLS_DIRECTORY },
    });
    children.push(child);
    const { value, done } = await child.stdout.getReader().read();
    if (done) throw new Error(`${as ?? "the server"} ended before it was ready`);
    return { pid: child.pid, port: (JSON.parse(new TextDecoder().decode(value)) as number[])[0]! };
  }

  const engines: Started[] = [];
  const ordinary: number[] = [];
  await Promise.all([
    ...DOZEN.map(async (wanted) => {
      engines.push({ wanted, ...(await serve(wanted.as, specOf(wanted))) });
    }),
    ...ORDINARY.map(async ({ as, spec }) => void ordinary.push((await serve(as, spec)).pid)),
  ]);
  const stop = (): void => {
    for (const child of children) child.kill();
    rmSync(directory, { recursive: true, force: true });
  };
  return { engines, ordinary, stop };
}

const asksForToken = ({ answers = {} }: Fixture): boolean =>
  Object.values(answers).some(({ status }) => status === 401 || status === 403);

function specOf({ id, token = false, tls, address }: Case): object {
  const { positive } = catalogue.find((entry) => entry.id === id)!.fixtures;
  const fixture = positive.find((one) => one.answers && asksForToken(one) === token);
  if (!fixture) throw new Error(`${id} has no fixture ${token ? "with" : "without"} a token`);
  return { kind: tls ? "https" : "http", ...(address && { address }), answers: fixture.answers };
}

/**
 * Compares the result of a scan with the started engines. Empty if each engine is found exactly once with the
 * right name.
 */
export function faultsOf(found: readonly Engine[], engines: readonly Started[]): string[] {
  return engines.flatMap(({ wanted, pid, port }) => {
    const named = found.filter((engine) => engine.pid === pid);
    const what = `${wanted.id}${wanted.as ? ` as ${wanted.as}` : ""}${wanted.tls ? " behind TLS" : ""}`;
    const [engine] = named;
    if (named.length !== 1 || !engine) return [`${what} is named ${named.length} times`];
    return [
      ...(engine.id === wanted.id ? [] : [`${what} is taken for ${engine.id}`]),
      ...(engine.ports.join() === `${port}` ? [] : [`${what} has ports ${engine.ports.join()}`]),
      ...(engine.confidence >= 60 ? [] : [`${what} has confidence ${engine.confidence}`]),
      ...(wanted.as === undefined || engine.renamed ? [] : [`${what} is not called renamed`]),
      ...(!wanted.token || engine.auth === "required" ? [] : [`${what} does not ask for a token`]),
      ...(!wanted.tls || engine.evidence.some(({ detail }) => detail.includes("https"))
        ? []
        : [`${what} shows no TLS`]),
    ];
  });
}
