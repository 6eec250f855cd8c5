import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { GGUF_LIMITS, isGguf, readGguf, shortCount } from "../../../../../agent/scan/models/gguf.ts";
import { joinWeights } from "../../../../../agent/scan/models/served-models.ts";
import {
  formatOf,
  ONNX_BYTES_MIN,
  recogniseWeights,
  TORCH_BYTES_MIN,
} from "../../../../../agent/scan/models/weights.ts";
import { repositoryOf } from "../../../../../agent/scan/stores/repository.ts";
import { ggufFile, HOLIDAY_PHOTOS } from "../scan-gguf.ts";

const reader = (file: Uint8Array) => (offset: number, length: number) =>
  file.subarray(offset, offset + length);

describe("readGguf()", () => {
  test("reads name, architecture, size, quantisation and licence", () => {
    expect(readGguf(reader(ggufFile(HOLIDAY_PHOTOS)))).toEqual({
      version: 3,
      name: "TinyLlama 1.1B Chat",
      architecture: "llama",
      parameters: "1.1B",
      quantisation: "Q4_K_M",
      licence: "apache-2.0",
    });
  });

  test("counts parameters from the tensor shapes if the file has no size label", () => {
    const file = ggufFile({ "general.architecture": "llama" }, { a: [4096, 32_000], b: [4096] });
    expect(readGguf(reader(file))?.parameters).toBe("131M");
  });

  test("finds metadata after a vocabulary that is larger than its window", () => {
    const tokens = Array.from({ length: 40_000 }, (_, at) => `token-${at}`);
    const file = ggufFile({ "general.name": "a", "tokenizer.ggml.tokens": tokens, "general.file_type": 7 });
    expect(file.length).toBeGreaterThan(GGUF_LIMITS.WINDOW_BYTES);
    expect(readGguf(reader(file))).toMatchObject({ name: "a", quantisation: "Q8_0" });
  });

  test("reads at most its limit of a file that claims to be endless", () => {
    const file = ggufFile({ "general.name": "a" });
    new DataView(file.buffer).setBigUint64(16, 4096n, true);
    let read = 0;
    const endless = (offset: number, length: number) => {
      read += length;
      const window = new Uint8Array(length);
      window.set(file.subarray(offset, offset + length));
      return window;
    };
    expect(readGguf(endless)).toMatchObject({ name: "a" });
    expect(read).toBeLessThanOrEqual(GGUF_LIMITS.BYTES_MAX * 2);
  });

  test("returns nothing for another format, and never throws for a damaged file", () => {
    expect(readGguf(reader(new TextEncoder().encode("GGUF notes about models")))).toBeUndefined();
    const file = ggufFile(HOLIDAY_PHOTOS, { a: [8, 8] });
    fc.assert(
      fc.property(fc.nat(file.length - 1), fc.nat(255), fc.nat(600), (at, value, end) => {
        const damaged = file.slice(0, Math.max(8, end));
        if (at < damaged.length) damaged[at] = value;
        readGguf(reader(damaged));
      }),
      { numRuns: 500 },
    );
  });
});

test("isGguf() accepts versions 1 to 3 in either byte order and nothing else", () => {
  const head = (...version: number[]) => new Uint8Array([0x47, 0x47, 0x55, 0x46, ...version]);
  expect([head(3, 0, 0, 0), head(0, 0, 0, 3), head(1, 0, 0, 0)].every(isGguf)).toBe(true);
  expect([head(0, 0, 0, 0), head(4, 0, 0, 0), head(0x20, 0x6e, 0x6f, 0x74), head(3)].some(isGguf)).toBe(
    false,
  );
});

describe("formatOf()", () => {
  const bytes = (...parts: (string | number[])[]) =>
    new Uint8Array(
      parts.flatMap((part) => (typeof part === "string" ? [...new TextEncoder().encode(part)] : part)),
    );

  test("recognises safetensors by header length and JSON", () => {
    const header = '{"__metadata__":{"format":"pt"},"a":{"dtype":"F16","shape":[1]}}';
    const file = bytes([header.length, 0, 0, 0, 0, 0, 0, 0], header);
    expect(formatOf(file, 4096)).toBe("safetensors");
    expect(formatOf(file, header.length)).toBeUndefined();
    expect(
      formatOf(bytes([64, 0, 0, 0, 0, 0, 0, 0], '{"name":"just some JSON document"}'), 4096),
    ).toBeUndefined();
  });

  test("recognises a file of torch.save by the first entry of its archive, above a minimum size", () => {
    // The first 64 bytes of a file written by PyTorch 1.13.1, but with the given entry name.
    const head = (entry: string): Uint8Array =>
      bytes(
        [0x50, 0x4b, 3, 4, 0, 0, 8, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [entry.length, 0, 0x14, 0],
        entry,
        "FB",
        [0x10, 0],
        "Z".repeat(32),
      );
    expect(formatOf(head("model/data.pkl"), TORCH_BYTES_MIN)).toBe("torch");
    expect(formatOf(head("model/data.pkl"), TORCH_BYTES_MIN - 1)).toBeUndefined();
    expect(formatOf(head("model/data.pkl.bak"), TORCH_BYTES_MIN)).toBeUndefined();
    expect(formatOf(head("word/document.xml"), TORCH_BYTES_MIN)).toBeUndefined();
  });

  test("recognises ONNX above a minimum size, and whisper.cpp's own format", () => {
    const onnx = bytes([8, 8, 0x12, 7], "pytorch", [0x1a, 3], "2.1");
    expect(formatOf(onnx, ONNX_BYTES_MIN)).toBe("onnx");
    expect(formatOf(onnx, ONNX_BYTES_MIN - 1)).toBeUndefined();
    expect(formatOf(bytes("lmgg", new Array(60).fill(0)), 1_000_000)).toBe("ggml");
  });

  test.each(["", "SQLite format 3\0", "\x7fELF\x02\x01\x01", "PK\x03\x04", '{"dtype":1}'])(
    "does not recognise %p",
    (start) => {
      expect(formatOf(bytes(start, new Array(64).fill(0)), 1e9)).toBeUndefined();
      expect(recogniseWeights(reader(bytes(start)), 1e9)).toBeUndefined();
    },
  );
});

test.each([
  ["/x/models--ada--tiny/blobs/abc", { name: "ada/tiny", publisher: "ada" }],
  [
    "C:\\Users\\a\\hub\\models--ada--tiny--v2\\snapshots\\r\\m.gguf",
    { name: "ada/tiny--v2", publisher: "ada" },
  ],
  ["/x/models--gpt2/snapshots/abc/", { name: "gpt2" }],
  ["/x/models--ada--tiny/refs/main", undefined],
  ["/x/datasets--ada--tiny/blobs/abc", undefined],
  ["/x/my-models--ada--tiny/blobs/abc", undefined],
])("repositoryOf(%j) is %p", (path, repository) => {
  expect(repositoryOf(path)).toEqual(repository);
});

describe("joinWeights()", () => {
  const file = {
    path: "/m/blobs/sha256-".concat("b".repeat(64)),
    format: "gguf" as const,
    sizeBytes: 7,
    how: "mapped" as const,
  };

  test("adds a mapped blob to the listed model with its digest", () => {
    const listed = [{ name: "llama3:8b", loaded: false, digest: "b".repeat(64) }];
    const header = { version: 3, licence: "llama3" };
    expect(joinWeights(listed, [{ ...file, header }])).toMatchObject([
      { name: "llama3:8b", loaded: true, licence: "llama3" },
    ]);
  });

  test("adds a separate model for weights that belong to no listed model", () => {
    const listed = [
      { name: "a", loaded: false },
      { name: "b", loaded: false },
    ];
    const joined = joinWeights(listed, [
      { ...file, path: "/m/other.bin", header: { version: 3, name: "Other" } },
    ]);
    expect(joined.map(({ name }) => name)).toEqual(["a", "b", "Other"]);
  });

  const hub = "/home/ada/.cache/huggingface/hub/models--Qwen--Qwen2.5-7B";
  const part = (digit: string, sizeBytes: number) => ({
    path: `${hub}/blobs/${digit.repeat(64)}`,
    format: "safetensors" as const,
    sizeBytes,
    how: "mapped" as const,
  });

  test("names a blob of the Hugging Face cache by its repository, not by its digest", () => {
    expect(joinWeights([], [part("c", 5)])).toEqual([
      {
        name: "Qwen/Qwen2.5-7B",
        loaded: true,
        format: "safetensors",
        sizeBytes: 5,
        publisher: "Qwen",
        digest: `sha256:${"c".repeat(64)}`,
      },
    ]);
  });

  test("joins all parts of a repository to one model, which the server lists", () => {
    const parts = [part("c", 5), part("d", 7)];
    const whole = { name: "Qwen/Qwen2.5-7B", loaded: true, sizeBytes: 12, publisher: "Qwen" };
    const joined = joinWeights([], parts);
    expect(joined).toMatchObject([whole]);
    expect(joined[0]).not.toHaveProperty("digest");
    const listed = [{ name: "Qwen/Qwen2.5-7B", loaded: true }];
    expect(joinWeights(listed, parts)).toMatchObject([whole]);
    const other = { ...part("e", 3), path: `/m/models--Qwen--other/blobs/${"e".repeat(64)}` };
    expect(joinWeights([], [...parts, other])).toHaveLength(2);
  });

  test("keeps two GGUF files of a repository with different quantisations separate", () => {
    const gguf = (digit: string, quantisation: string) => ({
      ...part(digit, 5),
      format: "gguf" as const,
      header: { version: 3, quantisation },
    });
    expect(joinWeights([], [gguf("c", "Q4_K_M"), gguf("d", "Q8_0")])).toHaveLength(2);
  });
});

test.each([
  [8_030_261_248, "8.0B"],
  [494_032_768, "494M"],
  [12_000, "12K"],
  [7, "7"],
])("shortCount() writes %p as %p", (count, text) => {
  expect(shortCount(count)).toBe(text);
});
