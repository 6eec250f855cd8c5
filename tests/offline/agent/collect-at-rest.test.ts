import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { catalogue } from "../../../agent/catalog/list.ts";
import { createAtRest, REFRESH_MS } from "../../../agent/collect/at-rest.ts";
import { createExecutables } from "../../../agent/collect/executables.ts";
import { type Files, realFiles } from "../../../agent/collect/files.ts";
import { LIMITS, type Store, store } from "../../../shared/wire/heartbeat.ts";
import { missing, testUnless } from "../../support/missing.ts";
import { ggufFile, HOLIDAY_PHOTOS } from "./scan-gguf.ts";

const FILES = new URL("../../../agent/collect/files.ts", import.meta.url).pathname;

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
const MIB = 1024 ** 2;
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

/** The files of this machine below the directories of these tests: who runs them may have an Ollama of his own. */
function ownFiles(): Files {
  const files = realFiles();
  const own = (path: string): string => {
    if (path.startsWith(tmpdir())) return path;
    throw Object.assign(new Error(path), { code: "ENOENT" });
  };
  return { ...files, list: (path) => files.list(own(path)), facts: (path) => files.facts(own(path)) };
}

/** The same list each time, as the agent has it. */
function only(...homes: string[]): () => readonly string[] {
  return () => homes;
}

function atRest(elapsed = () => 0, files = ownFiles()) {
  return createAtRest({ files, catalogue, homes: only(home), elapsed });
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

test("executables.sha256() leaves the first scan nearly alone, and gives the second five times as long", () => {
  const path = join(home, "larger");
  writeFileSync(path, new Uint8Array(8 * 1024 * 1024));
  let now = 0;
  const files = realFiles();
  const reads: number[] = [];
  const slow = {
    ...files,
    bytes: (...args: Parameters<typeof files.bytes>) => {
      now += 1;
      reads.push(reads.pop()! + 1);
      return files.bytes(...args);
    },
  };
  const executables = createExecutables({ files: slow, elapsed: () => now });
  for (let scan = 0; scan < 3; scan += 1) {
    reads.push(0);
    executables.begin();
    executables.sha256(path);
  }
  // One more each: the budget is found used up only after it was.
  expect(reads).toEqual([4, 16, 4]);
});

test("executables.sha256() goes through a large file in the first scan where no later one goes on", () => {
  const path = join(home, "largest");
  writeFileSync(path, new Uint8Array(8 * 1024 * 1024));
  let now = 0;
  const files = realFiles();
  const slow = {
    ...files,
    bytes: (...args: Parameters<typeof files.bytes>) => {
      now += 1;
      return files.bytes(...args);
    },
  };
  const hashedIn = (hashMs: number) => {
    const executables = createExecutables({ files: slow, elapsed: () => now }, hashMs);
    executables.begin();
    return executables.sha256(path);
  };
  expect(hashedIn(32)).toMatch(/^[0-9a-f]{64}$/);
  expect(hashedIn(30)).toBeUndefined();
});

test("atRest.report() counts what was read, and says when that is not all", () => {
  const source = atRest();
  const detail = () => source.report().detail;
  expect(source.report()).toEqual({ name: "at-rest", status: "ok", detail: "0 models on disk so far" });
  source.read(product("ollama"));
  source.read(product("vllm"));
  expect(detail()).toBe("3 models on disk so far");
  source.stores(new Set(), 1000);
  expect(detail()).toBe("4 models on disk");
});

test("atRest.report() tells of directories and files that may not be read", () => {
  const files = realFiles();
  const deny = (path: string): never => {
    throw Object.assign(new Error(path), { code: "EACCES" });
  };
  const closed = atRest(() => 0, {
    ...files,
    list: (path) => (path === `${home}/.ollama/models/manifests` ? deny(path) : files.list(path)),
  });
  expect(closed.read(product("ollama"))).toEqual([]);
  const detail = "1 files or directories of models not readable";
  expect(closed.report()).toEqual({ name: "at-rest", status: "partial", detail });
  const sealed = atRest(() => 0, {
    ...files,
    bytes: (path, ...rest) => (path.endsWith("photos.dat") ? deny(path) : files.bytes(path, ...rest)),
  });
  expect(sealed.read(product("lm-studio"))).toEqual([]);
  expect(sealed.report()).toMatchObject({ status: "partial", detail });
});

test("atRest.read() names more models than it reads headers of by their files, and drops none", () => {
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
    const source = createAtRest({ catalogue, files: counting, homes: only(many), elapsed: () => now });
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

test("atRest.report() says when a store is too deep to be read in full", () => {
  const deep = mkdtempSync(join(tmpdir(), "collect-deep-"));
  try {
    const directory = join(deep, ".lmstudio/models/1/2/3/4/5/6");
    mkdirSync(join(directory, "7"), { recursive: true });
    writeFileSync(join(directory, "near.gguf"), weights);
    writeFileSync(join(directory, "7/far.gguf"), weights);
    const source = createAtRest({ catalogue, files: ownFiles(), homes: only(deep), elapsed: () => 0 });
    expect(source.read(product("lm-studio"))).toHaveLength(1);
    expect(source.report()).toEqual({
      name: "at-rest",
      status: "partial",
      detail: "1 directories of models too large or too deep to be read in full",
    });
  } finally {
    rmSync(deep, { recursive: true, force: true });
  }
});

test("atRest.read() tells the quantisations of one repository apart, and parts of one file not", () => {
  const hub = mkdtempSync(join(tmpdir(), "collect-hub-"));
  try {
    const snapshot = join(hub, ".cache/huggingface/hub/models--ada--tiny-GGUF/snapshots/abc");
    mkdirSync(snapshot, { recursive: true });
    const names = ["tiny-Q4_K_M.gguf", "tiny-F16-00001-of-00002.gguf", "tiny-F16-00002-of-00002.gguf"];
    for (const name of [...names, "mmproj-F16.gguf"]) writeFileSync(join(snapshot, name), weights);
    const source = createAtRest({ catalogue, files: ownFiles(), homes: only(hub), elapsed: () => 0 });
    const models = source.read(product("vllm"));
    expect(models).toHaveLength(2);
    const sizes = models.map(({ sizeBytes }) => sizeBytes!).sort((a, b) => a - b);
    expect(sizes).toEqual([weights.length, 2 * weights.length]);
    expect(models[0]).toMatchObject({ name: "ada/tiny-GGUF", quantisation: "Q4_K_M", architecture: "llama" });
  } finally {
    rmSync(hub, { recursive: true, force: true });
  }
});

testUnless(
  missing("Linux"),
  "realFiles().bytes() opens nothing but regular files: a device may act on being opened",
  async () => {
    const fifo = join(home, "opened");
    expect(Bun.spawnSync(["mkfifo", fifo]).exitCode).toBe(0);
    // It waits until somebody opens the other end, however shortly.
    const writer = Bun.spawn(["sh", "-c", `exec 3> "$0"`, fifo]);
    await Bun.sleep(50);
    expect(() => realFiles().bytes(fifo, 0, 10)).toThrow("not a regular file");
    expect(await Promise.race([writer.exited, Bun.sleep(300).then(() => "waits")])).toBe("waits");
    expect(Bun.spawnSync(["cat", fifo]).exitCode).toBe(0);
    expect(await writer.exited).toBe(0);
  },
);

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
        createAtRest({ catalogue, files: through, homes: only(home), elapsed: () => 0 }).read(
          product("vllm"),
        ),
      [Symbol.dispose]: () => rmSync(home, { recursive: true, force: true }),
    };
  };

  test("tells the revision that main was, not one beside it", () => {
    using hub = hubWith({
      "refs/main": REVISION,
      "snapshots/aaaa/model.safetensors": "x".repeat(10),
      [`snapshots/${REVISION}/model.safetensors`]: "x".repeat(20),
    });
    expect(hub.read().map(({ sizeBytes }) => sizeBytes)).toEqual([20]);
  });

  test("tells the digest of a model that is one file, and of no other", () => {
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
  ])("tells the licence on the card %j: %p", (card, licence) => {
    using hub = hubWith({ "snapshots/a/README.md": card, "snapshots/a/model.safetensors": "x" });
    expect(hub.read()[0]?.licence).toBe(licence);
  });

  test("counts weights in directories below, as pipelines of pictures have them", () => {
    using hub = hubWith({
      "snapshots/a/unet/diffusion_pytorch_model.safetensors": "x".repeat(30),
      "snapshots/a/vae/diffusion_pytorch_model.safetensors": "x".repeat(12),
    });
    expect(hub.read()).toMatchObject([{ name: "ada/tiny", sizeBytes: 42, format: "safetensors" }]);
  });

  test("calls a repository without weights no model, a large file of any name one", () => {
    using hub = hubWith({ "snapshots/a/tokenizer.json": "{}", "snapshots/a/config.json": "{}" });
    expect(hub.read()).toEqual([]);
    const large = join(hub.repository, "snapshots/a/consolidated.00");
    writeFileSync(large, "");
    truncateSync(large, 64 * MIB);
    expect(hub.read()).toMatchObject([{ name: "ada/tiny", sizeBytes: 64 * MIB }]);
  });

  testUnless(missing("Linux"), "opens nothing that is no regular file, whatever it is called", () => {
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
  /** As safetensors begin: the length of a header, and the header. */
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
      return createAtRest({ catalogue, files: ownFiles(), homes: only(home), elapsed: () => 0 }).read(
        product("lm-studio"),
      );
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  };

  test("calls safetensors by their directory, with all parts one model, and its configuration", () => {
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

  test("takes the parts of a GGUF for one model, and two files beside each other for two", () => {
    const models = modelsOf({
      "ada/big/big-00001-of-00002.gguf": weights,
      "ada/big/big-00002-of-00002.gguf": weights,
      "ada/big/small.gguf": weights,
    });
    expect(models.map(({ sizeBytes }) => sizeBytes).sort()).toEqual([weights.length, 2 * weights.length]);
  });
});

test("atRest.read() reads no file by a digest that is none", () => {
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
    const source = createAtRest({ catalogue, files: ownFiles(), homes: only(other), elapsed: () => 0 });
    expect(source.read(product("ollama"))).toEqual([]);
  } finally {
    rmSync(other, { recursive: true, force: true });
  }
});

testUnless(
  missing("Linux"),
  "realFiles() never waits for a FIFO that somebody put in the place of a file",
  () => {
    const fifo = join(home, "config.json");
    expect(Bun.spawnSync(["mkfifo", fifo]).exitCode).toBe(0);
    // In a process of its own: a read that waits could not be interrupted.
    const script = `import { optional, realFiles } from ${JSON.stringify(FILES)};
const files = realFiles();
for (const read of ["text", "line", "record"]) optional(() => files[read](process.argv[1], 100));
optional(() => files.bytes(process.argv[1], 0, 10));`;
    const { exitCode } = Bun.spawnSync([process.execPath, "-e", script, fifo], { timeout: 10_000 });
    expect(exitCode).toBe(0);
  },
);

describe("atRest.stores()", () => {
  const running = (...names: string[]) => new Set(names);
  const namesOf = (stores: Store[] | undefined) =>
    Object.fromEntries((stores ?? []).map(({ id, models }) => [id, models.map(({ name }) => name).sort()]));

  test("tells the models of products that do not run, the shared cache as its own, nobody twice", () => {
    const stores = atRest().stores(running(), 1000)!;
    expect(namesOf(stores)).toEqual({
      ollama: ["hf.co/bartowski/tiny-gguf:latest", "llama3:8b"],
      "lm-studio": ["TinyLlama 1.1B Chat"],
      huggingface: ["Qwen/Qwen2.5-0.5B"],
    });
    expect(stores.map(({ name }) => name).sort()).toEqual(["Hugging Face cache", "LM Studio", "Ollama"]);
    for (const one of stores) expect(store.safeParse(one).success).toBe(true);
  });

  test("keeps what the shared cache says of its models, for those that are loaded from there", () => {
    const source = atRest();
    expect(source.cached()).toEqual([]);
    source.stores(running(), 1000);
    expect(source.cached().map(({ name }) => name)).toEqual(["Qwen/Qwen2.5-0.5B"]);
    expect(source.cached()).toBe(source.cached());
  });

  test("leaves out what a running product reads, the shared cache too", () => {
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

  test("says nothing before there was time for every place, and goes on where it stopped", () => {
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

  test("gives the same list while disks say the same, and another within ten minutes of a download", () => {
    const other = mkdtempSync(join(tmpdir(), "collect-download-"));
    try {
      mkdirSync(join(other, ".lmstudio/models"), { recursive: true });
      let now = 0;
      const source = createAtRest({
        catalogue,
        files: ownFiles(),
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

  test("looks into the home of somebody who moved in, and forgets who moved out", () => {
    const other = mkdtempSync(join(tmpdir(), "collect-moved-"));
    try {
      mkdirSync(join(other, ".lmstudio/models"), { recursive: true });
      writeFileSync(join(other, ".lmstudio/models/new.gguf"), weights);
      let homes: readonly string[] = [home];
      const source = createAtRest({ catalogue, files: ownFiles(), homes: () => homes, elapsed: () => 0 });
      const none = running();
      expect(Object.keys(namesOf(source.stores(none, 1)))).toHaveLength(3);
      homes = [other];
      expect(namesOf(source.stores(none, 1))).toEqual({ "lm-studio": ["TinyLlama 1.1B Chat"] });
      expect(source.report().detail).toBe("1 models on disk");
    } finally {
      rmSync(other, { recursive: true, force: true });
    }
  });

  test("cuts a store to what a heartbeat takes, and says how much is left", () => {
    const many = mkdtempSync(join(tmpdir(), "collect-stored-"));
    try {
      for (let at = 0; at < LIMITS.MODELS_MAX + 3; at += 1) {
        const snapshot = join(many, `.cache/huggingface/hub/models--ada--m${at}/snapshots/a`);
        mkdirSync(snapshot, { recursive: true });
        writeFileSync(join(snapshot, "model.safetensors"), "x");
      }
      const source = createAtRest({ catalogue, files: ownFiles(), homes: only(many), elapsed: () => 0 });
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
