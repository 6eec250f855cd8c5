/**
 * `runtime`: runs models and does little else. `framework`: computes with tensors of all kinds, and also trains.
 * `loader`: reads the files that models come in; none of it is a sign by itself.
 */
export type LibraryKind = "runtime" | "framework" | "loader";

/*
 * Names as the packages of PyPI, npm and Debian have them: onnxruntime 1.32.0 (all of ONNX Runtime is in
 * `onnxruntime_pybind11_state`), onnxruntime-node 1.30.0 (`onnxruntime_binding.node`), xllamacpp 2026.10 (all of llama.cpp
 * is in `xllamacpp.abi3.so`), node-llama-cpp 3.22.1 (`libllama.v0.5.0.so`), ctranslate2 4.8.5, python3-torch 1.13.1.
 */
const KINDS: readonly [kind: LibraryKind, paths: RegExp][] = [
  [
    "runtime",
    /\/(?:lib(?:onnxruntime|ggml|llama|ctranslate2|mlx)\b|(?:onnxruntime|ggml|llama)\.dll|onnxruntime_pybind11_state\b|onnxruntime_binding\.node|xllamacpp\.abi3\.so)/i,
  ],
  ["framework", /\/libtorch(?:_cpu|_cuda)?\b/i],
  // safetensors 0.8.0, tokenizers 0.23.3 and sentencepiece 0.2.3 of PyPI.
  ["loader", /\/(?:_safetensors_rust|tokenizers|_sentencepiece)\.(?:abi3|cpython)[^/]*\.so$/],
];

/** What a library does for models, by its path with slashes; undefined for any other library. */
export const kindOfLibrary = (path: string): LibraryKind | undefined =>
  KINDS.find(([, paths]) => paths.test(path))?.[0];
