import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { catalogue } from "../../../../../agent/catalogue/engines/list.ts";
import { AtRest, directoriesIn, REFRESH_MS } from "../../../../../agent/scan/stores/models-on-disk.ts";
import { realFiles } from "../../../../../agent/scan/system/files.ts";
import { LIMITS, type Store, store } from "../../../../../shared/wire/heartbeat.ts";
import { only, ownFiles, product, weights } from "../../catalogue/model-homes.ts";

const home = mkdtempSync(join(tmpdir(), "collect-home-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

function put(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(join(home, path)), { recursive: true });
  writeFileSync(join(home, path), content);
}

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

function atRest(elapsed = () => 0, files = ownFiles()) {
  return new AtRest({ directories: directoriesIn(files), catalogue, homes: only(home), elapsed });
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

test("atRest.read() reads the disk once in ten minutes", () => {
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

test("atRest.report() counts the models, and is partial if some could not be read", () => {
  const source = atRest();
  const detail = () => source.report().detail;
  expect(source.report()).toEqual({ name: "at-rest", status: "ok", detail: "0 models on disk so far" });
  source.read(product("ollama"));
  source.read(product("vllm"));
  expect(detail()).toBe("3 models on disk so far");
  source.stores(new Set(), 1000);
  expect(detail()).toBe("4 models on disk");
});

test("atRest.report() counts unreadable directories and files", () => {
  const files = realFiles();
  const deny = (path: string): never => {
    throw Object.assign(new Error(path), { code: "EACCES" });
  };
  const closed = atRest(() => 0, {
    ...files,
    list: (path) => (path === `${home}/.ollama/models/manifests` ? deny(path) : files.list(path)),
  });
  expect(closed.read(product("ollama"))).toEqual([]);
  const detail = "could not read 1 model files or directories";
  expect(closed.report()).toEqual({ name: "at-rest", status: "partial", detail });
  const sealed = atRest(() => 0, {
    ...files,
    bytes: (path, ...rest) => (path.endsWith("photos.dat") ? deny(path) : files.bytes(path, ...rest)),
  });
  expect(sealed.read(product("lm-studio"))).toEqual([]);
  expect(sealed.report()).toMatchObject({ status: "partial", detail });
});

test("atRest.report() is partial if a store is too deep", () => {
  const deep = mkdtempSync(join(tmpdir(), "collect-deep-"));
  try {
    const directory = join(deep, ".lmstudio/models/1/2/3/4/5/6");
    mkdirSync(join(directory, "7"), { recursive: true });
    writeFileSync(join(directory, "near.gguf"), weights);
    writeFileSync(join(directory, "7/far.gguf"), weights);
    const source = new AtRest({
      catalogue,
      directories: directoriesIn(ownFiles()),
      homes: only(deep),
      elapsed: () => 0,
    });
    expect(source.read(product("lm-studio"))).toHaveLength(1);
    expect(source.report()).toEqual({
      name: "at-rest",
      status: "partial",
      detail: "1 model directories too large or too deep to read completely",
    });
  } finally {
    rmSync(deep, { recursive: true, force: true });
  }
});

describe("atRest.stores()", () => {
  const running = (...names: string[]) => new Set(names);
  const namesOf = (stores: Store[] | undefined) =>
    Object.fromEntries((stores ?? []).map(({ id, models }) => [id, models.map(({ name }) => name).sort()]));

  test("lists the models of products that are not running, each once, and the shared cache separately", () => {
    const stores = atRest().stores(running(), 1000)!;
    expect(namesOf(stores)).toEqual({
      ollama: ["hf.co/bartowski/tiny-gguf:latest", "llama3:8b"],
      "lm-studio": ["TinyLlama 1.1B Chat"],
      huggingface: ["Qwen/Qwen2.5-0.5B"],
    });
    expect(stores.map(({ name }) => name).sort()).toEqual(["Hugging Face cache", "LM Studio", "Ollama"]);
    for (const one of stores) expect(store.safeParse(one).success).toBe(true);
  });

  test("describes loaded models by the shared cache", () => {
    const source = atRest();
    expect(source.cached()).toEqual([]);
    source.stores(running(), 1000);
    expect(source.cached().map(({ name }) => name)).toEqual(["Qwen/Qwen2.5-0.5B"]);
    expect(source.cached()).toBe(source.cached());
  });

  test("leaves out directories of running products, including the shared cache", () => {
    const source = atRest();
    expect(Object.keys(namesOf(source.stores(running("ollama"), 1000))).sort()).toEqual([
      "huggingface",
      "lm-studio",
    ]);
    expect(Object.keys(namesOf(source.stores(running("vllm"), 1000))).sort()).toEqual([
      "lm-studio",
      "ollama",
    ]);
    expect(Object.keys(namesOf(source.stores(running("jan"), 1000))).sort()).toHaveLength(3);
  });

  test("is undefined until every directory was read, and resumes where it stopped", () => {
    let now = 0;
    const files = ownFiles();
    const slow = {
      ...files,
      list: (path: string) => {
        now += 1;
        return files.list(path);
      },
    };
    const source = atRest(() => now, slow);
    expect(source.stores(running(), 0)).toBeUndefined();
    expect(now).toBe(0);
    let looks = 0;
    while (source.stores(running(), 5) === undefined) looks += 1;
    expect(looks).toBeGreaterThan(2);
    expect(Object.keys(namesOf(source.stores(running(), 0)))).toHaveLength(3);
  });

  test("returns the same list while nothing changes, and sees a download within ten minutes", () => {
    const other = mkdtempSync(join(tmpdir(), "collect-download-"));
    try {
      mkdirSync(join(other, ".lmstudio/models"), { recursive: true });
      let now = 0;
      const source = new AtRest({
        catalogue,
        directories: directoriesIn(ownFiles()),
        homes: only(other),
        elapsed: () => now,
      });
      const none = running();
      const before = source.stores(none, 1);
      expect(before).toEqual([]);
      writeFileSync(join(other, ".lmstudio/models/new.gguf"), weights);
      now = REFRESH_MS - 1;
      expect(source.stores(none, 1)).toBe(before);
      expect(source.stores(running(), 1)).toBe(before);
      now = REFRESH_MS;
      const after = source.stores(none, 1);
      expect(namesOf(after)).toEqual({ "lm-studio": ["TinyLlama 1.1B Chat"] });
      expect(source.stores(running("ollama"), 1)).toBe(after);
      now = 2 * REFRESH_MS;
      expect(source.stores(running(), 1)).toBe(after);
    } finally {
      rmSync(other, { recursive: true, force: true });
    }
  });

  test("reads new homes and forgets removed ones", () => {
    const other = mkdtempSync(join(tmpdir(), "collect-moved-"));
    try {
      mkdirSync(join(other, ".lmstudio/models"), { recursive: true });
      writeFileSync(join(other, ".lmstudio/models/new.gguf"), weights);
      let homes: readonly string[] = [home];
      const source = new AtRest({
        catalogue,
        directories: directoriesIn(ownFiles()),
        homes: () => homes,
        elapsed: () => 0,
      });
      const none = running();
      expect(Object.keys(namesOf(source.stores(none, 1)))).toHaveLength(3);
      homes = [other];
      expect(namesOf(source.stores(none, 1))).toEqual({ "lm-studio": ["TinyLlama 1.1B Chat"] });
      expect(source.report().detail).toBe("1 models on disk");
    } finally {
      rmSync(other, { recursive: true, force: true });
    }
  });

  test("truncates a store to the limits of a heartbeat and counts the rest", () => {
    const many = mkdtempSync(join(tmpdir(), "collect-stored-"));
    try {
      for (let at = 0; at < LIMITS.MODELS_MAX + 3; at += 1) {
        const snapshot = join(many, `.cache/huggingface/hub/models--ada--m${at}/snapshots/a`);
        mkdirSync(snapshot, { recursive: true });
        writeFileSync(join(snapshot, "model.safetensors"), "x");
      }
      const source = new AtRest({
        catalogue,
        directories: directoriesIn(ownFiles()),
        homes: only(many),
        elapsed: () => 0,
      });
      expect(source.stores(running(), 1)![0]!.models).toHaveLength(LIMITS.MODELS_MAX);
      expect(source.report()).toEqual({
        name: "at-rest",
        status: "partial",
        detail: "3 models on disk left out",
      });
    } finally {
      rmSync(many, { recursive: true, force: true });
    }
  });
});
