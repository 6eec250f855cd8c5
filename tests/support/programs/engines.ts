import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A process that an agent must find. It runs as a child process of the test and ends with the test. */
export type Running = { pid: number; stop(): Promise<void> };

async function run(script: string, folder: string): Promise<Running & { line: string }> {
  const file = join(folder, "main.mjs");
  writeFileSync(file, script);
  const child = Bun.spawn([process.execPath, file], { stdout: "pipe", stderr: "inherit" });
  const reader = child.stdout.getReader();
  const line = new TextDecoder().decode((await reader.read()).value);
  return {
    pid: child.pid,
    line,
    async stop() {
      child.kill();
      await child.exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const newFolder = () => mkdtempSync(join(tmpdir(), "lz-engine-"));

/** Starts a stub on a free port with the endpoints of Ollama's API (docs/api.md of ollama/ollama). */
export async function startOllamaShaped(): Promise<Running & { port: number }> {
  const started = await run(
    `const model = { name: "llama3.2:3b", model: "llama3.2:3b", modified_at: "2026-10-01T10:00:00Z", size: 2019393189,
  digest: "a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72",
  details: { parent_model: "", format: "gguf", family: "llama", families: ["llama"], parameter_size: "3.2B", quantization_level: "Q4_K_M" } };
const answers = { "/api/version": { version: "0.12.3" }, "/api/tags": { models: [model] },
  "/api/ps": { models: [{ ...model, expires_at: "2026-12-01T10:00:00Z", size_vram: 0 }] },
  "/v1/models": { object: "list", data: [{ id: "llama3.2:3b", object: "model", created: 1, owned_by: "library" }] } };
const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch(request) {
  const path = new URL(request.url).pathname;
  if (path === "/") return new Response("Ollama is running");
  return path in answers ? Response.json(answers[path]) : new Response("404 page not found", { status: 404 });
} });
console.log(server.port);`,
    newFolder(),
  );
  return { ...started, port: Number(started.line) };
}

/**
 * Bytes of a GGUF file with metadata (github.com/ggml-org/ggml, docs/gguf.md), padded to the minimum size of
 * model weights.
 */
function ggufBytes(name: string): Uint8Array {
  const parts: Buffer[] = [];
  const u32 = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  };
  const u64 = (value: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    return bytes;
  };
  const text = (value: string) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
  const entries: [string, string | number][] = [
    ["general.architecture", "llama"],
    ["general.name", name],
    ["general.size_label", "1B"],
    ["general.license", "apache-2.0"],
    ["general.file_type", 15],
  ];
  parts.push(Buffer.from("GGUF"), u32(3), u64(0), u64(entries.length));
  for (const [key, value] of entries) {
    parts.push(text(key));
    if (typeof value === "string") parts.push(u32(8), text(value));
    else parts.push(u32(4), u32(value));
  }
  parts.push(Buffer.alloc(32 * 1024 * 1024));
  return Buffer.concat(parts);
}

/** Starts a process with an unrelated name that maps a GGUF file with an unrelated name. */
export async function startMappedWeights(fileName: string, modelName: string): Promise<Running> {
  const folder = newFolder();
  const file = join(folder, fileName);
  writeFileSync(file, ggufBytes(modelName));
  return run(
    `const mapped = Bun.mmap(${JSON.stringify(file)});
let sum = 0;
for (let i = 0; i < mapped.length; i += 4096) sum += mapped[i];
console.log(sum);
setInterval(() => { sum += mapped[0]; }, 1000);`,
    folder,
  );
}
