import { describe, expect, test } from "bun:test";
import { catalogue } from "../../../../../agent/catalogue/engines/list.ts";
import { isCertain, isReader } from "../../../../../agent/scan/identify/candidate.ts";
import { confidenceOf } from "../../../../../agent/scan/identify/confidence.ts";
import { findCandidates } from "../../../../../agent/scan/identify/find-candidates.ts";
import {
  createClaimsOf,
  libraryFilter,
  sharedLibrary,
} from "../../../../../agent/scan/identify/process-claims.ts";
import { kindOfLibrary, type LibraryKind } from "../../../../../agent/scan/models/inference-libraries.ts";
import type {
  AnonymousMemory,
  GpuUse,
  ModelFormat,
  ModelOnDisk,
  ProcessFacts,
} from "../../../../../agent/scan/system/host.ts";

const MIB = 1024 ** 2;
const PID = 40;
const GGML = "/venv/lib/python3.11/site-packages/llama_runtime/libggml-base.so.0";
const ORT = "/venv/onnxruntime/capi/onnxruntime_pybind11_state.cpython-311-x86_64-linux-gnu.so";
const TORCH = "/usr/lib/x86_64-linux-gnu/libtorch_cpu.so.1.13.0";
const SAFETENSORS = "/venv/safetensors/_safetensors_rust.abi3.so";

type Given = {
  libraries: string[];
  heldMib?: number;
  readMib?: number;
  mapsGpu?: boolean;
  gpu?: GpuUse;
  earlierMib?: number;
  nearby?: ModelOnDisk[];
  modelsOnDisk?: ModelOnDisk[];
  process?: Partial<ProcessFacts>;
};

const byId = new Map(catalogue.map((entry) => [entry.id, entry]));
const claimsOf = createClaimsOf(catalogue);

function find(given: Given) {
  const process = { pid: PID, parentPid: 1, key: "k", name: "app", argv: [], ...given.process };
  const memory: AnonymousMemory = {
    heldBytes: (given.heldMib ?? 400) * MIB,
    readBytes: (given.readMib ?? 300) * MIB,
    mapsGpu: given.mapsGpu ?? false,
    earlier:
      given.earlierMib === undefined
        ? []
        : [{ path: "/m/earlier.gguf", format: "gguf", sizeBytes: given.earlierMib * MIB, how: "open" }],
    nearby: given.nearby ?? [],
  };
  return findCandidates({
    snapshot: {
      processes: new Map([[PID, process]]),
      listeners: [{ key: "l", address: "127.0.0.1", port: 4000, pid: PID }],
      weights: new Map(),
      libraries: new Map([[PID, given.libraries]]),
      gpu: new Map(given.gpu ? [[PID, given.gpu]] : []),
      anonymous: new Map([[PID, memory]]),
      collectors: [],
    },
    catalogue: byId,
    heard: [],
    claims: new Map([[PID, claimsOf(process, given.libraries)]]),
    selfPid: 99,
    ...(given.modelsOnDisk && { modelsOnDisk: given.modelsOnDisk }),
  });
}

/** Confidence of the reported process, or 0 if no process is reported. */
const confidence = (given: Given): number => {
  const [one] = find(given);
  return one ? confidenceOf(one.evidence) : 0;
};
const model = (mib: number): ModelOnDisk => ({ name: "model.pt", sizeBytes: mib * MIB });

describe("a runtime that holds and has read the amount of a model", () => {
  test("is reported with confidence 50 as likely weights", () => {
    const [one, ...others] = find({ libraries: [GGML] });
    expect(others).toEqual([]);
    expect(one).toMatchObject({
      id: "unknown-weights",
      name: "Process that likely holds model weights",
      kind: "weights",
      listeners: [{ port: 4000 }],
    });
    expect(one!.evidence).toEqual([
      {
        signal: "weights",
        weight: 40,
        detail: "holds 400 MiB of anonymous memory and has read 300 MiB",
        inferred: true,
      },
      { signal: "library", weight: 10, detail: "loaded libggml-base.so.0" },
    ]);
  });

  test.each([
    [{ libraries: [ORT] }, 50],
    [{ libraries: [GGML], mapsGpu: true }, 55],
    [{ libraries: [GGML], gpu: { bytes: 1e9 } }, 55],
    [{ libraries: [GGML], modelsOnDisk: [model(260)] }, 55],
    [{ libraries: [GGML], modelsOnDisk: [model(260)], mapsGpu: true }, 60],
    [{ libraries: [GGML], earlierMib: 300 }, 60],
    [{ libraries: [GGML], earlierMib: 300, readMib: 0 }, 60],
    [{ libraries: [GGML], earlierMib: 300, mapsGpu: true }, 65],
    [{ libraries: [GGML, TORCH], earlierMib: 300, nearby: [model(260)], gpu: { bytes: 1e9 } }, 65],
  ])("%p has %d, and no combination has more than 65", (given, expected) => {
    expect(confidence(given)).toBe(expected);
  });

  test.each([
    [{ libraries: [GGML], heldMib: 63 }],
    [{ libraries: [GGML], readMib: 63 }],
    [{ libraries: [GGML], heldMib: 63, earlierMib: 60 }],
    // The file that the process had open earlier is larger than its memory.
    [{ libraries: [GGML], earlierMib: 500, readMib: 0 }],
    [{ libraries: [] }],
    [{ libraries: [SAFETENSORS] }],
  ])("%p is not reported", (given) => {
    expect(find(given)).toEqual([]);
  });
});

describe("a framework, which also trains and computes", () => {
  test("is not reported for an import, a large tensor, data or a training run alone", () => {
    expect(confidence({ libraries: [TORCH], heldMib: 116, readMib: 13 })).toBe(0);
    expect(confidence({ libraries: [TORCH], heldMib: 1140, readMib: 13 })).toBe(0);
    expect(confidence({ libraries: [TORCH], heldMib: 372, readMib: 269 })).toBe(0);
    expect(confidence({ libraries: [TORCH], heldMib: 647, readMib: 269, nearby: [model(100)] })).toBe(0);
  });

  test.each([
    ["a library that loads model files", { libraries: [TORCH, SAFETENSORS] }, 50],
    ["a GPU", { libraries: [TORCH], mapsGpu: true }, 55],
    ["a model beside what it runs", { libraries: [TORCH], nearby: [model(256)] }, 55],
    ["a model on disk", { libraries: [TORCH], modelsOnDisk: [model(256)] }, 55],
    ["weights it had open before", { libraries: [TORCH], earlierMib: 256 }, 60],
  ])("is reported with %s", (_, given, expected) => {
    expect(confidence(given)).toBe(expected);
  });

  test.each([
    ["larger than what it has read", model(301)],
    ["larger than what it holds", { ...model(299), sizeBytes: 450 * MIB }],
    ["too small for what it holds", model(99)],
  ])("a model on disk is no sign when it is %s", (_, one) => {
    expect(confidence({ libraries: [TORCH], modelsOnDisk: [one], nearby: [one] })).toBe(0);
  });

  test.each([
    [TORCH, ["torch", "safetensors", "unknown", undefined], ["gguf", "onnx", "ggml", "mlx"]],
    [GGML, ["gguf", "ggml", "unknown"], ["torch", "safetensors", "onnx"]],
    [ORT, ["onnx"], ["torch", "safetensors", "gguf"]],
  ] as const)("%s: a model on disk is a sign when the library reads its format", (library, read, others) => {
    const withModel = (format: ModelFormat | undefined) =>
      confidence({ libraries: [library], nearby: [{ ...model(256), ...(format && { format }) }] });
    for (const format of read) expect([format, withModel(format)]).toEqual([format, 55]);
    const without = library === TORCH ? 0 : 50;
    for (const format of others) expect([format, withModel(format)]).toEqual([format, without]);
  });

  test("the evidence names the largest model that fits the amount", () => {
    const nearby = [model(200), { name: "large.safetensors", sizeBytes: 280 * MIB }, model(240)];
    expect(find({ libraries: [TORCH], nearby })[0]!.evidence[0]!.detail).toBe(
      "holds 400 MiB of anonymous memory and has read 300 MiB; large.safetensors (280 MiB) in a directory it uses has a matching size",
    );
  });
});

describe("what is concluded from amounts of memory", () => {
  test("is never a target of containment, because another user can cause it", () => {
    const [one] = find({ libraries: [GGML], earlierMib: 300, mapsGpu: true });
    expect([isCertain(one!), isReader(one!)]).toEqual([false, false]);
    // A product name as additional evidence does not make the result certain.
    const named = { name: "koboldcpp", executable: "/opt/x/koboldcpp" };
    const [product] = find({ libraries: [GGML], process: named });
    expect([product!.id, isCertain(product!)]).toEqual(["koboldcpp", false]);
  });

  test("adds to a product with other evidence, which keeps its name", () => {
    const python = {
      name: "python3",
      executable: "/usr/bin/python3",
      argv: ["python3", "-m", "llama_cpp.server", "--use_mmap", "False"],
    };
    const [one, ...others] = find({ libraries: [GGML], process: python });
    expect([one!.id, others]).toEqual(["llama-cpp-python", []]);
    expect(one!.evidence).toContainEqual(
      expect.objectContaining({ signal: "weights", weight: 40, inferred: true }),
    );
    expect([confidenceOf(one!.evidence), isCertain(one!)]).toEqual([100, true]);
  });

  test("does not add to a process that computes on the GPU", () => {
    const [one] = find({ libraries: [GGML], gpu: { bytes: 1e9, computes: true } });
    expect([one!.name, confidenceOf(one!.evidence)]).toEqual(["Unknown process with model weights", 75]);
  });
});

describe("kindOfLibrary()", () => {
  test.each<[path: string, kind: LibraryKind | undefined]>([
    [GGML, "runtime"],
    [ORT, "runtime"],
    ["/n/onnxruntime-node/bin/napi-v6/linux/x64/onnxruntime_binding.node", "runtime"],
    ["/n/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime.so.1", "runtime"],
    ["/n/bins/linux-x64/libllama.v0.5.0.so", "runtime"],
    ["/n/bins/linux-x64/libggml-cpu-sapphirerapids.so", "runtime"],
    ["/v/xllamacpp/xllamacpp.abi3.so", "runtime"],
    ["/v/ctranslate2.libs/libctranslate2-a7a60d30.so.4.8.5", "runtime"],
    [TORCH, "framework"],
    [SAFETENSORS, "loader"],
    ["/v/tokenizers/tokenizers.abi3.so", "loader"],
    ["/v/sentencepiece/_sentencepiece.cpython-311-x86_64-linux-gnu.so", "loader"],
    ["/usr/lib/libtorrent-rasterbar.so.2", undefined],
    ["/usr/lib/libllamada.so", undefined],
    ["/usr/lib/libonnx.so.1", undefined],
    ["/v/my_tokenizers.abi3.so", undefined],
  ])("%s is %p", (path, kind) => {
    expect(kindOfLibrary(path)).toBe(kind);
    expect(libraryFilter([])(path)).toBe(kind !== undefined);
    expect(sharedLibrary([path])).toBe(kind === "runtime" || kind === "framework" ? path : undefined);
  });
});
