import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { catalogue } from "../../../agent/catalog/list.ts";
import { createAtRest } from "../../../agent/collect/at-rest.ts";
import { createExecutables } from "../../../agent/collect/executables.ts";
import { realFiles } from "../../../agent/collect/files.ts";
import { ggufFile, HOLIDAY_PHOTOS } from "./scan-gguf.ts";

const home = mkdtempSync(join(tmpdir(), "collect-home-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

function put(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(join(home, path)), { recursive: true });
  writeFileSync(join(home, path), content);
}

/** Weights below a megabyte are not looked at on disk. */
const weights = new Uint8Array(1_100_000);
weights.set(ggufFile(HOLIDAY_PHOTOS as never));
const product = (id: string) => catalogue.find((entry) => entry.id === id)!;
const digest = "a".repeat(64);
const manifest = JSON.stringify({
  schemaVersion: 2,
  layers: [
    { mediaType: "application/vnd.ollama.image.license", digest: "sha256:b", size: 10 },
    { mediaType: "application/vnd.ollama.image.model", digest: `sha256:${digest}`, size: 1_100_000 },
  ],
});
put(`.ollama/models/blobs/sha256-${digest}`, weights);
put(".ollama/models/manifests/registry.ollama.ai/library/llama3/8b", manifest);
put(".ollama/models/manifests/hf.co/bartowski/tiny-gguf/latest", manifest);
put(".ollama/models/manifests/registry.ollama.ai/library/broken/1b", "{not json");
put(".lmstudio/models/ada/holiday/photos.dat", weights);
put(".lmstudio/models/ada/holiday/readme.gguf", "not weights ".repeat(100_000));
put(".cache/huggingface/hub/models--Qwen--Qwen2.5-0.5B/snapshots/abc/config.json", '{"model_type":"qwen2"}');
put(".cache/huggingface/hub/models--Qwen--Qwen2.5-0.5B/snapshots/abc/model.safetensors", "x".repeat(500));
put(".cache/huggingface/hub/datasets--a--b/snapshots/abc/data", "");

function atRest(elapsed = () => 0, files = realFiles()) {
  return createAtRest({ files, homes: [home], elapsed });
}

test("atRest.read() lists Ollama's manifests by the names Ollama gives them, with the header of the blob", () => {
  const models = atRest().read(product("ollama"));
  expect(models.map(({ name }) => name).sort()).toEqual(["hf.co/bartowski/tiny-gguf:latest", "llama3:8b"]);
  expect(models[0]).toMatchObject({
    loaded: false,
    format: "gguf",
    digest: `sha256:${digest}`,
    sizeBytes: 1_100_000,
    architecture: "llama",
    quantisation: "Q4_K_M",
    licence: "apache-2.0",
  });
});

test("atRest.read() finds weights by content in LM Studio's directory", () => {
  expect(atRest().read(product("lm-studio"))).toMatchObject([{ name: "TinyLlama 1.1B Chat", loaded: false }]);
});

test("atRest.read() lists the models of the Hugging Face cache, and no data sets", () => {
  expect(atRest().read(product("vllm"))).toEqual([
    {
      name: "Qwen/Qwen2.5-0.5B",
      loaded: false,
      sizeBytes: 500,
      format: "safetensors",
      architecture: "qwen2",
      publisher: "Qwen",
    },
  ]);
});

test("atRest.read() looks at the disk once in ten minutes", () => {
  let now = 0;
  let listed = 0;
  const files = realFiles();
  const counting = {
    ...files,
    list: (path: string) => {
      listed += 1;
      return files.list(path);
    },
  };
  const source = atRest(() => now, counting);
  source.read(product("ollama"));
  const first = listed;
  now = 599_999;
  source.read(product("ollama"));
  expect(listed).toBe(first);
  now = 600_000;
  source.read(product("ollama"));
  expect(listed).toBe(first * 2);
});

test("executables.sha256() spreads a large file over scans and hashes an unchanged one once", () => {
  const path = join(home, "large");
  writeFileSync(path, new Uint8Array(1024 * 1024));
  let now = 0;
  let read = 0;
  const files = realFiles();
  const slow = {
    ...files,
    bytes: (file: string, offset: number, length: number, into?: Uint8Array) => {
      now += 30;
      read += 1;
      return files.bytes(file, offset, length, into);
    },
  };
  const executables = createExecutables({ files: slow, elapsed: () => now });
  const digests: (string | undefined)[] = [];
  for (let scan = 0; scan < 6; scan += 1) {
    executables.begin();
    digests.push(executables.sha256(path));
  }
  const expected = new Bun.CryptoHasher("sha256").update(new Uint8Array(1024 * 1024)).digest("hex");
  expect(digests[0]).toBeUndefined();
  expect(digests.at(-1)).toBe(expected);
  expect(read).toBe(4);
});
