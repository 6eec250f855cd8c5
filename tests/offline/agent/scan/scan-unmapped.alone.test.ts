import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemReaders } from "../../../../agent/scan/platform/system-readers.ts";
import { createScanner } from "../../../../agent/scan/scan.ts";
import { freePort } from "../../../../local/free-port.ts";
import type { Engine } from "../../../../shared/wire/heartbeat.ts";
import { describeUnless, missing } from "../../../support/missing.ts";
import { randomLlama } from "../../../support/programs/random-llama.ts";
import { ROOT } from "../../../support/stack.ts";
import { ggufFile } from "./scan-gguf.ts";

/*
 * Test setup: real processes that hold a model in anonymous memory, and real processes that only look similar
 * to them.
 */

const PYTHON = "/usr/bin/python3";
const MODEL_BYTES = 80 * 1024 * 1024;
/** Feed-forward size of a llama.cpp model of about 75 MB. */
const FEED_FORWARD = 49_152;
const WAIT_MS = 30_000;

const directory = mkdtempSync(join(tmpdir(), "unmapped-"));
const elsewhere = join(directory, "elsewhere");
const model = join(elsewhere, "holiday-photos.dat");
const children: { kill(): void }[] = [];

beforeAll(() => {
  mkdirSync(elsewhere);
  writeFileSync(model, ggufFile({ "general.name": "Holiday" }));
  truncateSync(model, MODEL_BYTES);
});
afterAll(() => {
  for (const child of children) child.kill();
  rmSync(directory, { recursive: true, force: true });
});

const scanner = () => {
  const { scan } = createScanner(
    systemReaders({
      platform: process.platform,
      procRoot: "/proc",
      selfPid: process.pid,
      homes: () => [directory],
      clock: Date.now,
      elapsed: () => performance.now(),
    }),
  );
  return {
    /**
     * Scans until the engines of process `pid` meet the condition or the time limit is reached. Returns these
     * engines.
     */
    until: async (pid: number, isWanted: (engines: Engine[]) => boolean): Promise<Engine[]> => {
      const endMs = performance.now() + WAIT_MS;
      for (;;) {
        const { engines, waiting } = await scan();
        const own = engines.filter((engine) => engine.pid === pid);
        if ((isWanted(own) && waiting.length === 0) || performance.now() > endMs) return own;
        await Bun.sleep(50);
      }
    },
  };
};

async function start(command: readonly string[], cwd = directory) {
  const child = Bun.spawn([...command], { stdin: "pipe", stdout: "pipe", stderr: "ignore", cwd });
  children.push(child);
  const reader = child.stdout.getReader();
  const line = async (): Promise<string> => {
    const { value, done } = await reader.read();
    if (done) throw new Error(`${command[0]} ended`);
    return new TextDecoder().decode(value).trim();
  };
  await line();
  return { pid: child.pid, line, goOn: () => child.stdin.write("\n") };
}

const load = (how: string, cwd?: string) =>
  start([PYTHON, join(import.meta.dir, "unmapped-model.py"), how, "holiday-photos.dat", directory], cwd);

describeUnless(missing("Linux", PYTHON), "weights that were read into anonymous memory", () => {
  test("are inferred from the library, the memory, the read bytes and a model in the directory of the process", async () => {
    const { pid } = await load("read", elsewhere);
    const [one] = await scanner().until(pid, ([found]) => found?.confidence === 55);
    expect(one).toMatchObject({
      id: "unknown-weights",
      name: "Process that likely holds model weights",
      confidence: 55,
      evidence: [{ signal: "weights", weight: 45 }, { detail: "loaded libggml.so" }],
    });
    expect(one!.evidence[0]!.detail).toMatch(
      /^holds \d+ MiB of anonymous memory and has read \d+ MiB; holiday-photos\.dat \(80 MiB\) in a directory it uses has a matching size$/,
    );
  });

  test("are not inferred without the library, or for memory that was not read from files", async () => {
    const found = await Promise.all(["no-library", "data"].map((how) => load(how, elsewhere)));
    const one = scanner();
    // Scan until all work is done, so that the result is final.
    for (const { pid } of found) expect(await one.until(pid, () => true)).toEqual([]);
  });

  test("have a higher confidence if an earlier scan saw the file open", async () => {
    const { pid, goOn, line } = await load("open-for-a-while", elsewhere);
    const one = scanner();
    expect(await one.until(pid, ([found]) => found?.confidence === 85)).toMatchObject([
      { name: "Unknown process with model weights", confidence: 85 },
    ]);
    goOn();
    await line();
    const [after] = await one.until(pid, ([found]) => found?.confidence === 60);
    expect(after).toMatchObject({ name: "Process that likely holds model weights", confidence: 60 });
    expect(after!.evidence[0]!.detail).toEndWith(
      "and had holiday-photos.dat (80 MiB) mapped or open earlier",
    );
  });
});

const server = process.env.LZ_LLAMA_SERVER ?? Bun.which("llama-server");
const lacking = server ? [] : ["llama-server on the PATH or a command in LZ_LLAMA_SERVER: docs/rules.md"];

describeUnless([...missing("Linux"), ...lacking], "llama.cpp's server", () => {
  test("keeps its name without a mapping, with the memory as evidence", async () => {
    const file = join(directory, "random.gguf");
    await Bun.write(file, randomLlama(1, FEED_FORWARD));
    const port = await freePort();
    const options = ["--host", "127.0.0.1", "--port", String(port), "--ctx-size", "512", "--threads", "1"];
    const { pid } = await start([...server!.split(" "), "--model", file, "--no-mmap", ...options], ROOT);
    const isComplete = ([found]: Engine[]): boolean =>
      found?.id === "llama-cpp" && found.evidence.some(({ signal }) => signal === "weights");
    const [one] = await scanner().until(pid, isComplete);
    expect(one).toMatchObject({ id: "llama-cpp", ports: [port] });
    const [weights] = one!.evidence.filter(({ signal }) => signal === "weights");
    expect(weights!.detail).toMatch(
      /^holds \d+ MiB of anonymous memory and has read \d+ MiB; random\.gguf \(\d+ MiB\) in a directory it uses has a matching size$/,
    );
    expect(weights!.weight).toBe(45);
  });
});
