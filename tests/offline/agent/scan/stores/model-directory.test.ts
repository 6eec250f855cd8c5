import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { catalogue } from "../../../../../agent/catalogue/engines/list.ts";
import { AtRest, directoriesIn } from "../../../../../agent/scan/stores/models-on-disk.ts";
import { realFiles } from "../../../../../agent/scan/system/files.ts";
import { missing, testUnless } from "../../../../support/missing.ts";
import { MIB, only, ownFiles, product, weights } from "../../catalogue/model-homes.ts";

test("atRest.read() names models beyond the header limit by their file", () => {
  const many = mkdtempSync(join(tmpdir(), "collect-many-"));
  try {
    mkdirSync(join(many, ".lmstudio/models"), { recursive: true });
    for (let at = 100; at < 170; at += 1) writeFileSync(join(many, `.lmstudio/models/${at}.gguf`), weights);
    const files = realFiles();
    let now = 0;
    let opened = 0;
    const counting: typeof files = {
      ...files,
      bytes: (...given) => {
        opened += 1;
        return files.bytes(...given);
      },
    };
    const source = new AtRest({
      catalogue,
      directories: directoriesIn(counting),
      homes: only(many),
      elapsed: () => now,
    });
    const models = source.read(product("lm-studio"));
    expect(models).toHaveLength(70);
    expect(models.filter(({ name }) => name === "TinyLlama 1.1B Chat")).toHaveLength(64);
    const named = models.filter(({ name }) => /^1\d\d\.gguf$/.test(name));
    expect(named).toHaveLength(6);
    expect(named[0]).toMatchObject({ format: "gguf", sizeBytes: weights.length, loaded: false });
    const first = opened;
    now = 600_000;
    expect(source.read(product("lm-studio"))).toBe(models);
    expect(opened).toBe(first);
  } finally {
    rmSync(many, { recursive: true, force: true });
  }
});

test("atRest.read() lists quantisations of a repository separately, and parts of a file together", () => {
  const hub = mkdtempSync(join(tmpdir(), "collect-hub-"));
  try {
    const snapshot = join(hub, ".cache/huggingface/hub/models--ada--tiny-GGUF/snapshots/abc");
    mkdirSync(snapshot, { recursive: true });
    const names = ["tiny-Q4_K_M.gguf", "tiny-F16-00001-of-00002.gguf", "tiny-F16-00002-of-00002.gguf"];
    for (const name of [...names, "mmproj-F16.gguf"]) writeFileSync(join(snapshot, name), weights);
    const source = new AtRest({
      catalogue,
      directories: directoriesIn(ownFiles()),
      homes: only(hub),
      elapsed: () => 0,
    });
    const models = source.read(product("vllm"));
    expect(models).toHaveLength(2);
    const sizes = models.map(({ sizeBytes }) => sizeBytes!).sort((a, b) => a - b);
    expect(sizes).toEqual([weights.length, 2 * weights.length]);
    expect(models[0]).toMatchObject({ name: "ada/tiny-GGUF", quantisation: "Q4_K_M", architecture: "llama" });
  } finally {
    rmSync(hub, { recursive: true, force: true });
  }
});

describe("atRest.read() of a Hugging Face cache", () => {
  const REVISION = "b".repeat(40);
  const hubWith = (files: Record<string, string | Uint8Array>) => {
    const home = mkdtempSync(join(tmpdir(), "collect-hub-"));
    const repository = join(home, ".cache/huggingface/hub/models--ada--tiny");
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(repository, path)), { recursive: true });
      writeFileSync(join(repository, path), content);
    }
    return {
      repository,
      read: (through = ownFiles()) =>
        new AtRest({
          catalogue,
          directories: directoriesIn(through),
          homes: only(home),
          elapsed: () => 0,
        }).read(product("vllm")),
      [Symbol.dispose]: () => rmSync(home, { recursive: true, force: true }),
    };
  };

  test("reads the revision of main", () => {
    using hub = hubWith({
      "refs/main": REVISION,
      "snapshots/aaaa/model.safetensors": "x".repeat(10),
      [`snapshots/${REVISION}/model.safetensors`]: "x".repeat(20),
    });
    expect(hub.read().map(({ sizeBytes }) => sizeBytes)).toEqual([20]);
  });

  test("has a digest only for a model in one file", () => {
    using hub = hubWith({ [`blobs/${"d".repeat(64)}`]: "x", "snapshots/a/config.json": "{}" });
    symlinkSync(`../../blobs/${"d".repeat(64)}`, join(hub.repository, "snapshots/a/model.safetensors"));
    expect(hub.read()).toMatchObject([{ digest: `sha256:${"d".repeat(64)}`, format: "safetensors" }]);
    writeFileSync(join(hub.repository, "snapshots/a/model-2.safetensors"), "x");
    expect(hub.read()[0]).not.toHaveProperty("digest");
  });

  test.each([
    ["---\nlicense: apache-2.0\ntags: [a]\n---\n# Tiny", "apache-2.0"],
    ["---\ntags:\n- license: mit\nlicense: 'cc-by-nc-4.0' # no trade\n---\n", "cc-by-nc-4.0"],
    ["---\r\nlicense: other\r\nlicense_name: tiny-research\r\n---\r\n", "tiny-research"],
    ["---\nlicense: other\n---\n", "other"],
    ["# Tiny\nlicense: mit\n", undefined],
    ["---\nlicense:\n- mit\n---\n", undefined],
    ["---\nlicense: mit\n", undefined],
  ])("reads the licence on the card %j as %p", (card, licence) => {
    using hub = hubWith({ "snapshots/a/README.md": card, "snapshots/a/model.safetensors": "x" });
    expect(hub.read()[0]?.licence).toBe(licence);
  });

  test("includes weights in subdirectories", () => {
    using hub = hubWith({
      "snapshots/a/unet/diffusion_pytorch_model.safetensors": "x".repeat(30),
      "snapshots/a/vae/diffusion_pytorch_model.safetensors": "x".repeat(12),
    });
    expect(hub.read()).toMatchObject([{ name: "ada/tiny", sizeBytes: 42, format: "safetensors" }]);
  });

  test("reports no model without weights, and a large file of any name as weights", () => {
    using hub = hubWith({ "snapshots/a/tokenizer.json": "{}", "snapshots/a/config.json": "{}" });
    expect(hub.read()).toEqual([]);
    const large = join(hub.repository, "snapshots/a/consolidated.00");
    writeFileSync(large, "");
    truncateSync(large, 64 * MIB);
    expect(hub.read()).toMatchObject([{ name: "ada/tiny", sizeBytes: 64 * MIB }]);
  });

  testUnless(missing("Linux"), "opens only regular files", () => {
    using hub = hubWith({ "snapshots/a/model.safetensors": "x" });
    const opened: string[] = [];
    for (const name of ["config.json", "README.md"])
      symlinkSync("/dev/null", join(hub.repository, "snapshots/a", name));
    const files = realFiles();
    const watched: typeof files = {
      ...files,
      bytes: (path, ...rest) => {
        opened.push(path);
        return files.bytes(path, ...rest);
      },
    };
    expect(hub.read(watched)).toHaveLength(1);
    expect(opened).toEqual([]);
  });
});

describe("atRest.read() of files", () => {
  /** Writes the start of a safetensors file: the length of the header, then the header. */
  const safetensors = (sizeBytes: number) => {
    const header = JSON.stringify({ a: { dtype: "F32", shape: [1], data_offsets: [0, 4] } });
    const bytes = new Uint8Array(sizeBytes);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
    bytes.set(new TextEncoder().encode(header), 8);
    return bytes;
  };
  const modelsOf = (files: Record<string, string | Uint8Array>) => {
    const home = mkdtempSync(join(tmpdir(), "collect-files-"));
    try {
      for (const [path, content] of Object.entries(files)) {
        const file = join(home, ".lmstudio/models", path);
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, content);
      }
      return new AtRest({
        catalogue,
        directories: directoriesIn(ownFiles()),
        homes: only(home),
        elapsed: () => 0,
      }).read(product("lm-studio"));
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  };

  test("names safetensors by their directory, joins parts, and reads config.json", () => {
    const models = modelsOf({
      "mlx-community/Qwen3-4B-4bit/model-00001-of-00002.safetensors": safetensors(2 * MIB),
      "mlx-community/Qwen3-4B-4bit/model-00002-of-00002.safetensors": safetensors(MIB),
      "mlx-community/Qwen3-4B-4bit/config.json": '{"model_type":"qwen3"}',
      "other/model.safetensors": safetensors(MIB),
      "alone.safetensors": safetensors(MIB),
    });
    expect(models.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
      { name: "alone.safetensors", loaded: false, format: "safetensors", sizeBytes: MIB },
      {
        name: "mlx-community/Qwen3-4B-4bit",
        loaded: false,
        format: "safetensors",
        sizeBytes: 3 * MIB,
        architecture: "qwen3",
      },
      { name: "other", loaded: false, format: "safetensors", sizeBytes: MIB },
    ]);
  });

  test("joins parts of a GGUF model, but not two models in one directory", () => {
    const models = modelsOf({
      "ada/big/big-00001-of-00002.gguf": weights,
      "ada/big/big-00002-of-00002.gguf": weights,
      "ada/big/small.gguf": weights,
    });
    expect(models.map(({ sizeBytes }) => sizeBytes).sort()).toEqual([weights.length, 2 * weights.length]);
  });
});

test("atRest.read() does not open a file for an invalid digest", () => {
  const other = mkdtempSync(join(tmpdir(), "collect-digest-"));
  try {
    const models = join(other, ".ollama/models");
    mkdirSync(join(models, "blobs"), { recursive: true });
    writeFileSync(join(other, "elsewhere"), weights);
    const manifest = (digest: string) =>
      JSON.stringify({ layers: [{ mediaType: "application/vnd.ollama.image.model", digest, size: 1 }] });
    const tag = join(models, "manifests/registry.ollama.ai/library/a/1b");
    mkdirSync(dirname(tag), { recursive: true });
    writeFileSync(tag, manifest("sha256:../../../../elsewhere"));
    const source = new AtRest({
      catalogue,
      directories: directoriesIn(ownFiles()),
      homes: only(other),
      elapsed: () => 0,
    });
    expect(source.read(product("ollama"))).toEqual([]);
  } finally {
    rmSync(other, { recursive: true, force: true });
  }
});

describe("atRest.read() of Ollama's manifests", () => {
  const storeWith = (manifests: Record<string, unknown>) => {
    const home = mkdtempSync(join(tmpdir(), "collect-manifest-"));
    const models = join(home, ".ollama/models");
    for (const [path, content] of Object.entries(manifests)) {
      mkdirSync(dirname(join(models, "manifests", path)), { recursive: true });
      writeFileSync(join(models, "manifests", path), JSON.stringify(content));
    }
    const source = new AtRest({
      catalogue,
      directories: directoriesIn(ownFiles()),
      homes: only(home),
      elapsed: () => 0,
    });
    const read = source.read(product("ollama"));
    rmSync(home, { recursive: true, force: true });
    return { models: read, report: source.report() };
  };
  const layer = (mediaType: string, size: number, at = 0) => ({
    mediaType: `application/vnd.ollama.image.${mediaType}`,
    digest: `sha256:${String(at).padStart(64, "0")}`,
    size,
    name: `model.layers.${at}.mlp.down_proj.weight`,
  });
  const large = Array.from({ length: 1000 }, (_, at) => layer("license", 1, at));

  test("reads a manifest above 64 KiB", () => {
    const layers = [...large, layer("model", 1_100_000)];
    expect(JSON.stringify({ layers }).length).toBeGreaterThan(128 * 1024);
    const { models, report } = storeWith({ "registry.ollama.ai/library/large/1b": { layers } });
    expect(models).toMatchObject([{ name: "large:1b", sizeBytes: 1_100_000 }]);
    expect(report.status).toBe("ok");
  });

  test("reads a model with one layer per tensor", () => {
    const layers = Array.from({ length: 1000 }, (_, at) => layer("tensor", 1000, at));
    const { models } = storeWith({ "registry.ollama.ai/x/picture/latest": { layers } });
    expect(models).toEqual([
      { name: "x/picture:latest", format: "safetensors", sizeBytes: 1_000_000, loaded: false },
    ]);
  });

  test("counts a manifest that is too large as unreadable", () => {
    const layers = Array.from({ length: 26_000 }, (_, at) => layer("license", 1, at));
    const { models, report } = storeWith({ "registry.ollama.ai/library/huge/1b": { layers } });
    expect(models).toEqual([]);
    expect(report).toMatchObject({ detail: "could not read 1 model files or directories" });
  });

  test("ignores other kinds of layers", () => {
    for (const layers of [null, {}, [null, 7, "x"], [{ ...layer("model", 1), digest: "sha256:../x" }]])
      expect(storeWith({ "r/l/odd/1b": { layers } }).models).toEqual([]);
    expect(storeWith({ "r/l/odd/1b": { layers: [{ ...layer("tensor", -1) }] } }).models).toEqual([]);
  });
});
