import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "sglang",
  name: "SGLang",
  kind: "inference-engine",
  ports: [30000],
  names: ["sglang", "sglang::*", "sglang_router"],
  runsOn: ["python"],
  commands: ["-m sglang\\.launch_server\\b", "(?:^|/)sglang serve\\b"],
  libraries: ["/sgl_kernel/.*\\.so"],
  traits: [
    {
      path: "/",
      body: '^"SGLang is running"',
      weight: "identity",
      says: "the front page says SGLang is running",
    },
    {
      path: "/model_info",
      json: { model_path: { is: "string" }, is_generation: { is: "boolean" } },
      weight: "strong",
      says: "SGLang's model information",
    },
    {
      path: "/get_model_info",
      json: { model_path: { is: "string" }, is_generation: { is: "boolean" } },
      weight: "strong",
      says: "SGLang's model information",
    },
    {
      path: "/v1/models",
      json: { "data[].owned_by": { matches: "^sglang$" } },
      weight: "identity",
      says: "its models are owned by sglang",
    },
    {
      path: "/metrics",
      body: "(?:^|\\n)(?:# HELP )?sglang:",
      weight: "identity",
      says: "metrics named sglang",
    },
  ],
  version: [
    { path: "/server_info", at: "version" },
    { path: "/get_server_info", at: "version" },
  ],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: true }],
  openai: true,
  impersonates: ["ollama"],
  directories: [{ path: "~/.cache/huggingface/hub", layout: "huggingface" }],
  sources: ["https://docs.sglang.ai/basic_usage/native_api.html"],
  fixtures: {
    positive: [
      {
        source: "code: sglang 0.5.23 (PyPI) srt/entrypoints/http_server.py (GET /, /model_info, /api/tags)",
        answers: {
          "/": { headers: { server: "uvicorn" }, body: '"SGLang is running"' },
          "/model_info": {
            body: {
              model_path: "Qwen/Qwen3-0.6B",
              served_model_name: "Qwen/Qwen3-0.6B",
              tokenizer_path: "Qwen/Qwen3-0.6B",
              is_generation: true,
              weight_version: "default",
              model_type: "qwen3",
            },
          },
          "/api/tags": {
            body: {
              models: [
                {
                  name: "Qwen/Qwen3-0.6B",
                  model: "Qwen/Qwen3-0.6B",
                  size: 0,
                  digest: "sha256:sglang0000000000000000000000000000000000000000000000000000000000",
                  details: { format: "sglang", family: "Qwen3-0.6B", parameter_size: "unknown" },
                },
              ],
            },
          },
        },
      },
      {
        source: "code: sglang 0.5.23 (PyPI) http_server.py with SGLANG_OLLAMA_ROOT_ROUTE=/",
        answers: {
          "/": { headers: { server: "uvicorn" }, body: '"Ollama is running"' },
          "/model_info": {
            body: { model_path: "Qwen/Qwen3-0.6B", is_generation: true, served_model_name: "m" },
          },
        },
      },
      {
        source:
          "code: sglang 0.5.23 (PyPI) http_server.py (GET /get_model_info, deprecated), openai/protocol.py (ModelCard)",
        answers: {
          "/get_model_info": {
            body: {
              model_path: "qwen/qwen2.5-0.5b-instruct",
              tokenizer_path: "qwen/qwen2.5-0.5b-instruct",
              is_generation: true,
            },
          },
          "/v1/models": {
            body: {
              object: "list",
              data: [{ id: "qwen/qwen2.5-0.5b-instruct", object: "model", owned_by: "sglang" }],
            },
          },
        },
      },
      {
        source: "code: sglang 0.5.23 (PyPI) srt/observability/metrics_collector.py, with --api-key",
        answers: {
          "/v1/models": { status: 401, body: { error: "Unauthorized" } },
          "/metrics": { body: "# HELP sglang:num_running_reqs The number of running requests.\n" },
        },
      },
      {
        source: "code: sglang 0.5.23 (PyPI) launch_server.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "-m", "sglang.launch_server", "--model-path", "m"],
        },
      },
      {
        source: "code: sglang 0.5.23 (PyPI) entry_points.txt, cli/main.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/sglang", "serve", "m"],
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
    ],
  },
};

export default entry;
