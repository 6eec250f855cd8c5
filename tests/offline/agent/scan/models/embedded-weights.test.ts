import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { recogniseEmbedded } from "../../../../../agent/scan/models/weights.ts";
import { systemReaders } from "../../../../../agent/scan/platform/system-readers.ts";
import { createScanner } from "../../../../../agent/scan/scan.ts";
import { PARTS_MAX, parseMaps } from "../../../../../agent/scan/system/process-maps.ts";
import { describeUnless, missing } from "../../../../support/missing.ts";
import { ggufFile } from "../scan-gguf.ts";

const MIB = 1024 * 1024;
const PAGE = 4096;
const directory = mkdtempSync(join(tmpdir(), "embedded-"));
const children: { kill(): void }[] = [];
afterAll(() => {
  for (const child of children) child.kill();
  rmSync(directory, { recursive: true, force: true });
});

const model = Buffer.concat([
  ggufFile({ "general.architecture": "llama", "general.name": "Tiny" }, { "token_embd.weight": [64, 64] }),
  Buffer.alloc(2 * MIB),
]);
const header = JSON.stringify({
  __metadata__: {},
  w: { dtype: "F32", shape: [524288], data_offsets: [0, 2 * MIB] },
});
const length = Buffer.alloc(8);
length.writeBigUInt64LE(BigInt(header.length));
const safetensors = Buffer.concat([length, Buffer.from(header), Buffer.alloc(2 * MIB)]);

describe("parseMaps()", () => {
  const line = (start: number, bytes: number, offset: number, path = "/a") =>
    `${start.toString(16)}-${(start + bytes).toString(16)} r--p ${offset.toString(16).padStart(8, "0")} 08:01 ${path.charCodeAt(1)}       ${path}\n`;

  test("keeps large mappings that start inside a file", () => {
    const maps =
      line(0x7f0000000000, MIB, 0) +
      line(0x7f0000200000, 2 * MIB, 0x5000) +
      line(0x7f0000600000, MIB - PAGE, 0x400000) +
      line(0x7f0001000000, 3 * MIB, 0x1234567000, "/b");
    expect(parseMaps(maps).map(({ path, parts }) => [path, parts])).toEqual([
      ["/a", [{ offset: 0x5000, length: 2 * MIB }]],
      ["/b", [{ offset: 0x1234567000, length: 3 * MIB }]],
    ]);
  });

  test("keeps the largest parts if there are too many", () => {
    const count = PARTS_MAX + 5;
    const maps = Array.from({ length: count }, (_, at) =>
      line(0x7f0000000000 + at * 0x10000000, MIB + (at + 1) * PAGE, (at + 1) * PAGE),
    ).join("");
    const parts = parseMaps(maps)[0]!.parts!;
    expect(parts).toHaveLength(PARTS_MAX);
    expect(Math.min(...parts.map((part) => part.length))).toBe(MIB + 6 * PAGE);
  });
});

describe("recogniseEmbedded()", () => {
  const found = (bytes: Buffer, offset: number, size = bytes.length - offset) => {
    let readBytes = 0;
    const readAt = (at: number, wanted: number) => {
      const part = bytes.subarray(at, at + wanted);
      readBytes += part.length;
      return new Uint8Array(part);
    };
    return { weights: recogniseEmbedded(readAt, [{ offset, length: size }]), readBytes };
  };
  const at = (start: number, bytes: Buffer) => Buffer.concat([Buffer.alloc(start, "x"), bytes]);

  test.each([0, 512, 1000, 60_000])("finds a GGUF file %i bytes after the start of the mapping", (skew) => {
    expect(found(at(PAGE + skew, model), PAGE).weights).toMatchObject({
      format: "gguf",
      header: { architecture: "llama", name: "Tiny" },
      sizeBytes: model.length,
    });
  });

  test.each([0, 512, 3584])(
    "finds safetensors %i bytes after the start of the mapping, as placed by tar",
    (skew) => {
      expect(found(at(PAGE + skew, safetensors), PAGE).weights).toEqual({
        format: "safetensors",
        sizeBytes: safetensors.length,
      });
    },
  );

  test.each([
    ["the magic bytes as a constant of a program", Buffer.from("no GGUF\0file\0GGUF\x03\0\0\0")],
    ["a header that names no architecture", Buffer.from(ggufFile({ "general.name": "x" }))],
    ["a GGUF further behind than a granule", at(70_000, model)],
    ["JSON", Buffer.from('{"dtype": "F32"}')],
  ])("finds nothing in %s", (_, bytes) => {
    expect(found(Buffer.concat([at(PAGE, bytes), Buffer.alloc(2 * MIB)]), PAGE).weights).toBeUndefined();
  });

  test("reads a limited number of headers of a hostile file", () => {
    const hostile = Buffer.from(`GGUF\x03\0\0\0${"\x01".repeat(8)}`.repeat(200_000), "latin1");
    const { weights, readBytes } = found(hostile, PAGE);
    expect(weights).toBeUndefined();
    expect(readBytes).toBeLessThan(8 * 64 * 1024);
  });
});

/** Creates the archive with a real archiver. Returns the path of the archive and the offset of the model in it. */
async function archive(name: string, script: string): Promise<{ path: string; offset: number }> {
  writeFileSync(join(directory, "model.gguf"), model);
  writeFileSync(join(directory, "readme.txt"), "x".repeat(5000));
  const made = Bun.spawn(["python3", "-c", script], { cwd: directory, stdout: "ignore", stderr: "inherit" });
  if ((await made.exited) !== 0) throw new Error(`no ${name}`);
  const path = join(directory, name);
  return { path, offset: readFileSync(path).indexOf(model.subarray(0, 64)) };
}

const ZIP =
  "import zipfile; z = zipfile.ZipFile('m.zip', 'w'); z.write('readme.txt'); z.write('model.gguf'); z.close()";
const TAR =
  "import tarfile; t = tarfile.open('m.tar', 'w'); t.add('readme.txt'); t.add('model.gguf'); t.close()";
// A llamafile is a program followed by a zip archive. Source: README of github.com/Mozilla-Ocho/llamafile,
// section "How llamafile works".
const LLAMAFILE =
  "import zipfile; open('m.llamafile', 'wb').write(open('/bin/sh', 'rb').read()); z = zipfile.ZipFile('m.llamafile', 'a'); z.write('model.gguf'); z.close()";

describeUnless(missing("Linux", "python3"), "a scan of processes that map a part of a file", () => {
  test.each([
    ["m.tar", TAR],
    ["m.zip", ZIP],
    ["m.llamafile", LLAMAFILE],
  ])(
    "sees the model in %s",
    async (name, script) => {
      const { path, offset } = await archive(name, script);
      // The mapping starts at the page boundary before the archive member and ends with the member, as in
      // llamafile.c.
      const start = offset - (offset % PAGE);
      const spec = { path: join(directory, `${name}.socket`), maps: path, offset: start, length: 2 * MIB };
      const command = ["python3", join(import.meta.dir, "../unix-server.py"), JSON.stringify(spec)];
      const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
      children.push(child);
      await child.stdout.getReader().read();
      const scanner = createScanner(
        systemReaders({
          platform: process.platform,
          procRoot: "/proc",
          selfPid: process.pid,
          homes: () => [directory],
          clock: Date.now,
          elapsed: () => performance.now(),
        }),
      );
      let result = await scanner.scan();
      for (let scans = 1; scans < 8 && result.waiting.length > 0; scans += 1) result = await scanner.scan();
      const [found] = result.engines.filter(({ pid }) => pid === child.pid);
      expect(found).toMatchObject({
        id: "unknown-weights",
        models: [{ name: "Tiny", architecture: "llama" }],
      });
      expect(found!.evidence[0]!.detail).toBe(
        `reads model files: maps a model inside ${name} (gguf, llama, 4K)`,
      );
    },
    30_000,
  );
});
