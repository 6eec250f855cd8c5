import type { ModelFormat } from "../system/host.ts";

/**
 * Kind of an inference library. `runtime`: mainly runs models. `framework`: also trains models and does other
 * tensor computations. `loader`: reads model files; a loader alone does not indicate a loaded model.
 */
export type LibraryKind = "runtime" | "framework" | "loader";

type Library = { kind: LibraryKind; paths: RegExp; formats: readonly ModelFormat[] };

/*
 * Libraries by file name. The names were taken from these packages on PyPI, npm and Debian: onnxruntime
 * 1.32.0 (all of ONNX Runtime is in `onnxruntime_pybind11_state`), onnxruntime-node 1.30.0
 * (`onnxruntime_binding.node`), xllamacpp 2026.10 (all of llama.cpp is in `xllamacpp.abi3.so`),
 * node-llama-cpp 3.22.1 (`libllama.v0.5.0.so`), ctranslate2 4.8.5 and python3-torch 1.13.1.
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
  // CTranslate2 has its own model format. The agent cannot recognise it, because it has no magic bytes.
  { kind: "runtime", paths: /\/libctranslate2\b/i, formats: [] },
  { kind: "framework", paths: /\/libtorch(?:_cpu|_cuda)?\b/i, formats: ["torch", "safetensors"] },
  // Names from safetensors 0.8.0, tokenizers 0.23.3 and sentencepiece 0.2.3 on PyPI.
  {
    kind: "loader",
    paths: /\/(?:_safetensors_rust|tokenizers|_sentencepiece)\.(?:abi3|cpython)[^/]*\.so$/,
    formats: [],
  },
];

const libraryAt = (path: string): Library | undefined => LIBRARIES.find(({ paths }) => paths.test(path));

/** Kind of the inference library at a path that uses slashes. Undefined for any other library. */
export const kindOfLibrary = (path: string): LibraryKind | undefined => libraryAt(path)?.kind;

/** Model file formats that a library reads and that the agent recognises. */
export const formatsOfLibrary = (path: string): readonly ModelFormat[] => libraryAt(path)?.formats ?? [];
