import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { systemReaders } from "../../../../agent/scan/platform/system-readers.ts";
import { createScanner, type ScanResult } from "../../../../agent/scan/scan.ts";
import { parseStat } from "../../../../agent/scan/system/linux-process.ts";
import type { Engine } from "../../../../shared/wire/heartbeat.ts";
import { describeUnless, missing } from "../../../support/missing.ts";
import { ggufFile, HOLIDAY_PHOTOS } from "./scan-gguf.ts";

/*
 * Tests for desktop applications that start their own engine. The tests run real processes in the directories
 * that the installers use. The scan reports the application, because that is the program the user knows.
 */

const directory = mkdtempSync(join(tmpdir(), "collect-attribution-"));
const children: { kill(): void }[] = [];
afterAll(() => {
  for (const child of children) child.kill();
  rmSync(directory, { recursive: true, force: true });
});

/** Installs Bun at the path of an application's program, as a hard link if the file system allows it. */
function install(path: string): string {
  const at = join(directory, path);
  mkdirSync(dirname(at), { recursive: true });
  try {
    linkSync(realpathSync(process.execPath), at);
  } catch {
    copyFileSync(realpathSync(process.execPath), at);
  }
  return at;
}

const weights = join(directory, "model.gguf");
writeFileSync(weights, ggufFile(HOLIDAY_PHOTOS));
const server = join(import.meta.dir, "scan-server.ts");
const MAPS = `globalThis.m = Bun.mmap(${JSON.stringify(weights)}, { shared: true });
  console.log("[]"); for await (const _ of process.stdin) {}`;
const openai = (owner: string) => ({
  "/v1/models": {
    body: { object: "list", data: [{ id: "m", object: "model", created: 1, owned_by: owner }] },
  },
});
const LLAMA_CPP = openai("llamacpp");
const OLLAMA = { "/": { body: "Ollama is running" }, "/api/version": { body: { version: "0.12.6" } } };

const serves = (answers: object): string[] => [server, JSON.stringify([{ kind: "http", answers }])];
const maps: string[] = ["-e", MAPS];

type Family = { parent: number; child: number; ports: number[] };

const statOf = (name: string) => {
  try {
    return parseStat(readFileSync(`/proc/${name}/stat`, "latin1"));
  } catch {
    // The process has ended since it was listed in procfs.
    return undefined;
  }
};

/** Pid of the only child of a process. */
function below(pid: number): number {
  const names = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return Number(names.find((name) => statOf(name)?.parentPid === pid));
}

/** Starts `parent`, which starts a shell, which starts `child`. All three end when their standard input closes. */
async function start(parent: string, child: string, does: string[]): Promise<Family> {
  const program = `const inner = Bun.spawn(["sh", "-c", '"$@"; true', "sh", ...${JSON.stringify([child, ...does])}],
    { stdin: "inherit", stdout: "inherit" }); await inner.exited;`;
  const outer = Bun.spawn([parent, "-e", program], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  children.push(outer);
  const { value, done } = await outer.stdout.getReader().read();
  if (done) throw new Error(`${child} ended before it was ready`);
  return {
    parent: outer.pid,
    child: below(below(outer.pid)),
    ports: JSON.parse(new TextDecoder().decode(value)) as number[],
  };
}

const JAN = "usr/bin/Jan";
const JAN_ENGINE = "home/.local/share/Jan/data/llamacpp/backends/b1/llama-server";
const APPLICATIONS: [id: string, app: string, engine: string, does: string[], format?: string][] = [
  ["jan", JAN, JAN_ENGINE, serves(LLAMA_CPP)],
  ["lm-studio", "opt/LM-Studio/lm-studio", "home/.lmstudio/extensions/backends/x/node", maps],
  ["lm-studio", "opt/LM Studio/lm-studio", "opt/LM Studio/resources/llmworker", serves(openai("x"))],
  ["gpt4all", "home/gpt4all/bin/chat", "home/gpt4all/bin/worker", maps],
  ["msty", "opt/Msty/Msty", "home/.config/Msty/msty-local", serves(OLLAMA)],
];

describeUnless(missing("Linux"), "a scan of applications that start an engine", () => {
  const families: Family[] = [];
  let result: ScanResult;
  const of = (pid: number): Engine[] => result.engines.filter((engine) => engine.pid === pid);

  let stranger: Family;
  let shell: Family;
  beforeAll(async () => {
    for (const [, app, engine, does] of APPLICATIONS)
      families.push(await start(install(app), install(engine), does));
    // `stranger`: Jan's engine, started by a program other than Jan. `shell`: another engine, started by a
    // program named jan.
    stranger = await start(
      install("opt/editor/editor"),
      install("opt/llama/llama-server"),
      serves(LLAMA_CPP),
    );
    shell = await start(install("home/bin/jan"), install("home/bin/llama-server"), serves(LLAMA_CPP));
    const readers = systemReaders({
      platform: process.platform,
      procRoot: "/proc",
      selfPid: process.pid,
      homes: () => [directory],
      clock: Date.now,
      elapsed: () => performance.now(),
    });
    result = await createScanner(readers).scan();
  }, 60_000);

  test.each(APPLICATIONS.map(([id, app], at) => [id, app, at] as const))(
    "reports the engine that %s started from %s as the application",
    (id, app, at) => {
      const { parent, child, ports } = families[at]!;
      expect(of(child)).toEqual([]);
      const [one, ...others] = of(parent);
      expect(others).toEqual([]);
      expect(one).toMatchObject({ id, ports, executable: `~/${app}` });
      expect(one!.evidence.some(({ detail }) => detail.startsWith(`child ${child}: `))).toBe(true);
    },
  );

  test("reports an engine that another program started by itself, with that program among its parents", () => {
    expect(of(stranger.parent)).toEqual([]);
    const [one] = of(stranger.child);
    expect(one).toMatchObject({ id: "llama-cpp", ports: stranger.ports });
    expect(one!.parents.slice(0, 2)).toEqual(["sh", "editor"]);
  });

  test("does not report a program as Jan only because of its name", () => {
    expect(of(shell.parent)).toEqual([]);
    expect(of(shell.child)).toMatchObject([{ id: "llama-cpp", ports: shell.ports }]);
  });
});

describeUnless(missing("Linux"), "a scan of an application that is a client", () => {
  test("names Cherry Studio as a client of the engine, with its executable, and not as the engine", async () => {
    const engine = await start(install("bin/launcher"), install("bin/ollama"), serves(OLLAMA));
    const app = install("opt/Cherry Studio/cherrystudio");
    const program = `const s = await Bun.connect({ hostname: "127.0.0.1", port: ${engine.ports[0]}, socket: { data() {} } });
      console.log("connected"); for await (const _ of process.stdin) {} s.end();`;
    const client = Bun.spawn([app, "-e", program], { stdin: "pipe", stdout: "pipe", cwd: directory });
    children.push(client);
    await client.stdout.getReader().read();
    const readers = systemReaders({
      platform: process.platform,
      procRoot: "/proc",
      selfPid: process.pid,
      homes: () => [directory],
      clock: Date.now,
      elapsed: () => performance.now(),
    });
    const { engines } = await createScanner(readers).scan(undefined, { clientDirectories: true });
    const [one] = engines.filter(({ pid }) => pid === engine.child);
    expect(one!.id).toBe("ollama");
    expect(one!.clients).toEqual([
      {
        name: "cherrystudio",
        pid: client.pid,
        executable: "~/opt/Cherry Studio/cherrystudio",
        directory: "~",
        connections: 1,
      },
    ]);
  }, 30_000);
});
