import type { ModelFormat } from "../system/host.ts";

/**
 * `runtime`: runs models and does little else. `framework`: computes with tensors of all kinds, and also trains.
 * `loader`: reads the files that models come in; none of it is a sign by itself.
 */
export type LibraryKind = "runtime" | "framework" | "loader";

type Library = { kind: LibraryKind; paths: RegExp; formats: readonly ModelFormat[] };

/*
 * Names as the packages of PyPI, npm and Debian have them: onnxruntime 1.32.0 (all of ONNX Runtime is in
 * `onnxruntime_pybind11_state`), onnxruntime-node 1.30.0 (`onnxruntime_binding.node`), xllamacpp 2026.10 (all of llama.cpp
 * is in `xllamacpp.abi3.so`), node-llama-cpp 3.22.1 (`libllama.v0.5.0.so`), ctranslate2 4.8.5, python3-torch 1.13.1.
 */
const LIBRARIES: readonly Library[] = [
  {
    kind: "runtime",
    paths: /\/(?:lib(?:ggml|llama)\b|(?:ggml|llama)\.dll|xllamacpp\.abi3\.so)/i,
    formats: ["gguf", "ggml"],
  },
  {
    kind: "runtime",
    paths: /\/(?:libonnxruntime\b|onnxruntime\.dll|onnxruntime_pybind11_state\b|onnxruntime_binding\.node)/i,
    formats: ["onnx"],
  },
  { kind: "runtime", paths: /\/libmlx\b/i, formats: ["mlx", "safetensors"] },
  // It reads a format of its own, which has no magic bytes.
  { kind: "runtime", paths: /\/libctranslate2\b/i, formats: [] },
  { kind: "framework", paths: /\/libtorch(?:_cpu|_cuda)?\b/i, formats: ["torch", "safetensors"] },
  // safetensors 0.8.0, tokenizers 0.23.3 and sentencepiece 0.2.3 of PyPI.
  {
    kind: "loader",
    paths: /\/(?:_safetensors_rust|tokenizers|_sentencepiece)\.(?:abi3|cpython)[^/]*\.so$/,
    formats: [],
  },
];

const libraryAt = (path: string): Library | undefined => LIBRARIES.find(({ paths }) => paths.test(path));

/** What a library does for models, by its path with slashes; undefined for any other library. */
export const kindOfLibrary = (path: string): LibraryKind | undefined => libraryAt(path)?.kind;

/** Formats of model files that this library reads, as far as the agent recognises them. */
export const formatsOfLibrary = (path: string): readonly ModelFormat[] => libraryAt(path)?.formats ?? [];
