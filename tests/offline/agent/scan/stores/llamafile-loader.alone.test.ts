import { afterAll, expect } from "bun:test";
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemReaders } from "../../../../../agent/scan/platform/system-readers.ts";
import { createInterpreters } from "../../../../../agent/scan/processes/interpreters.ts";
import { createScanner } from "../../../../../agent/scan/scan.ts";
import { realFiles } from "../../../../../agent/scan/system/files.ts";
import { missing, testUnless } from "../../../../support/missing.ts";
import { ggufFile, HOLIDAY_PHOTOS } from "../scan-gguf.ts";
import { llamafile } from "./llamafiles.ts";

/*
 * Test setup: a process like a llamafile that runs under its loader. The executable is the loader. The first
 * argument is a portable executable that contains weights, and the process maps these weights. In this test,
 * Python replaces the loader, because Python also runs zip archives that have a prefix. The program in the
 * archive is also written in Python.
 */

const directory = mkdtempSync(join(tmpdir(), "llamafile-"));
const children: { kill(): void }[] = [];
afterAll(() => {
  for (const child of children) child.kill();
  rmSync(directory, { recursive: true, force: true });
});

const PROGRAM = `
import mmap, sys
file = open(sys.argv[0], "rb")
weights = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
print("ready", flush=True)
sys.stdin.read()
`;

const newScanner = () =>
  createScanner(
    systemReaders({
      platform: process.platform,
      procRoot: "/proc",
      selfPid: process.pid,
      homes: () => [directory],
      clock: Date.now,
      elapsed: () => performance.now(),
    }),
  );

async function run(loader: string, file: string): Promise<number> {
  const python = Bun.spawnSync([
    "python3",
    "-c",
    "import os,sys;print(os.path.realpath(sys.executable));print(sys.base_prefix)",
  ]);
  const [program, prefix] = python.stdout.toString().trim().split("\n");
  copyFileSync(program!, loader);
  chmodSync(loader, 0o755);
  const text = (name: string, content: string) => ({ name, content: new TextEncoder().encode(content) });
  const weights = { name: "tiny.gguf", content: ggufFile(HOLIDAY_PHOTOS) };
  writeFileSync(file, llamafile([text("__main__.py", PROGRAM), weights]));
  const child = Bun.spawn([loader, file, "--server"], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
    env: { PYTHONHOME: prefix!, LD_LIBRARY_PATH: `${prefix}/lib` },
  });
  children.push(child);
  await child.stdout.getReader().read();
  return child.pid;
}

testUnless(
  missing("Linux", "python3"),
  "a llamafile started by its loader is reported as llamafile, with its weights, and not under a false name",
  async () => {
    const pid = await run(join(directory, ".ape-1.10"), join(directory, "tiny.llamafile"));
    const { engines } = await newScanner().scan();
    const [one, ...others] = engines.filter((engine) => engine.pid === pid);
    expect(others).toEqual([]);
    expect(one).toMatchObject({
      id: "llamafile",
      models: [{ name: "TinyLlama 1.1B Chat", loaded: true, format: "gguf", quantisation: "Q4_K_M" }],
    });
    expect(one!.renamed).not.toBe(true);
    expect(one!.evidence.map(({ signal }) => signal)).toEqual(expect.arrayContaining(["binary", "weights"]));
  },
);

testUnless(
  missing("Linux"),
  "the loader is recognised by its content, and a program that only contains the same text is excluded by its size",
  async () => {
    const text = "  actually portable executable loader version 1.10\n";
    const { languageOf } = createInterpreters({ files: realFiles() });
    const small = join(directory, "loader");
    writeFileSync(small, `\x7fELF${"\0".repeat(4000)}${text}`);
    expect(languageOf(small)).toBe("other");
    const large = join(directory, "engine");
    writeFileSync(large, `\x7fELF${"\0".repeat(400_000)}${text}`);
    expect(languageOf(large)).not.toBe("other");
  },
);
