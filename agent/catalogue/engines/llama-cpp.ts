import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "llama-cpp",
  name: "llama.cpp server",
  kind: "inference-engine",
  ports: [8080],
  names: [
    "llama-server",
    "llama-cli",
    "llama-run",
    "llama-simple-chat",
    "llama-bench",
    "llama-perplexity",
    "llama",
  ],
  libraries: ["/llama\\.cpp/.*libllama"],
  traits: [
    {
      path: "/v1/models",
      json: { "data[].owned_by": { matches: "^llamacpp$" } },
      weight: "identity",
      says: "its models are owned by llamacpp",
    },
    {
      path: "/",
      statuses: [200, 401, 404, 503],
      headers: { server: "^llama\\.cpp" },
      weight: "identity",
      says: "the Server header is llama.cpp",
    },
    {
      path: "/props",
      json: { default_generation_settings: { is: "object" }, total_slots: { is: "number" } },
      weight: "strong",
      says: "llama.cpp's server properties",
    },
  ],
  version: [{ path: "/props", at: "build_info" }],
  models: [
    {
      path: "/v1/models",
      each: "data[]",
      name: "id",
      sizeBytes: "meta.size",
      loaded: true,
    },
  ],
  openai: true,
  impersonates: ["ollama"],
  directories: [
    { path: "~/.cache/llama.cpp", layout: "files" },
    { path: "~/Library/Caches/llama.cpp", layout: "files" },
  ],
  sources: ["https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md"],
  fixtures: {
    positive: [
      {
        source:
          "code: llama.cpp as vendored in llama-cpp-python 0.3.16 (PyPI) tools/server/server.cpp (handle_props)",
        answers: {
          "/": { headers: { server: "llama.cpp" }, body: "<!doctype html><title>llama.cpp - chat</title>" },
          "/v1/models": {
            headers: { server: "llama.cpp" },
            body: {
              object: "list",
              data: [
                {
                  id: "../models/Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf",
                  object: "model",
                  created: 1735142223,
                  owned_by: "llamacpp",
                  meta: {
                    vocab_type: 2,
                    n_vocab: 128256,
                    n_ctx_train: 131072,
                    n_embd: 4096,
                    n_params: 8030261312,
                    size: 4912898304,
                  },
                },
              ],
            },
          },
          "/props": {
            body: {
              default_generation_settings: { id: 0, id_task: -1, n_ctx: 1024, speculative: false },
              total_slots: 1,
              model_path: "../models/Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf",
              chat_template: "...",
              build_info: "b4400-6e1531ac",
            },
          },
        },
      },
      {
        source: "documented: llama.cpp tools/server/README.md, --api-key set",
        answers: {
          "/": { headers: { server: "llama.cpp" }, body: "<!doctype html>" },
          "/v1/models": {
            status: 401,
            headers: { server: "llama.cpp" },
            body: { error: { code: 401, message: "Invalid API Key", type: "authentication_error" } },
          },
        },
      },
      {
        source: "recorded from llama-server of llama.cpp as vendored in llama-cpp-python 0.3.16",
        answers: {
          "/": {
            headers: { server: "llama.cpp", "content-type": "text/plain" },
            body: "Error: gzip is not supported by this browser",
          },
          "/v1/models": {
            headers: { server: "llama.cpp" },
            body: {
              models: [
                {
                  name: "holiday-photos.dat",
                  model: "holiday-photos.dat",
                  modified_at: "",
                  type: "model",
                  capabilities: ["completion"],
                  details: {
                    parent_model: "",
                    format: "gguf",
                    family: "",
                    families: [""],
                    parameter_size: "",
                  },
                },
              ],
              object: "list",
              data: [
                {
                  id: "holiday-photos.dat",
                  object: "model",
                  created: 1795306041,
                  owned_by: "llamacpp",
                  meta: {
                    vocab_type: 1,
                    n_vocab: 32000,
                    n_ctx_train: 256,
                    n_embd: 64,
                    n_params: 4137152,
                    size: 16548608,
                  },
                },
              ],
            },
          },
          "/api/tags": {
            headers: { server: "llama.cpp" },
            body: {
              models: [
                { name: "holiday-photos.dat", details: { format: "gguf", family: "", families: [""] } },
              ],
              object: "list",
            },
          },
        },
      },
    ],
    negative: [
      {
        source: "documented: vLLM lists models owned by vllm",
        answers: {
          "/v1/models": { body: { object: "list", data: [{ id: "m", object: "model", owned_by: "vllm" }] } },
        },
      },
      {
        source: "made up: a page about the product",
        answers: { "/": { body: "<title>llama.cpp build notes</title>" } },
      },
    ],
  },
};

export default entry;
