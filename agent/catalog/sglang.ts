import type { CatalogEntry } from "./entry.ts";

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
  version: [{ path: "/get_server_info", at: "version" }],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: true }],
  openai: true,
  impersonates: ["ollama"],
  directories: [{ path: "~/.cache/huggingface/hub", layout: "huggingface" }],
  sources: ["https://docs.sglang.ai/basic_usage/native_api.html"],
  fixtures: {
    positive: [
      {
        source: "documented: docs.sglang.ai/basic_usage/native_api.html (GET /get_model_info)",
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
        source: "documented: docs.sglang.ai production metrics, --api-key set",
        answers: {
          "/v1/models": { status: 401, body: { error: "Unauthorized" } },
          "/metrics": { body: "# HELP sglang:prompt_tokens_total Number of prefill tokens processed.\n" },
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
