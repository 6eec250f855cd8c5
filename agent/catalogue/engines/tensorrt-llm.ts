import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "tensorrt-llm",
  name: "TensorRT-LLM",
  kind: "inference-engine",
  ports: [8000],
  names: ["trtllm-serve"],
  runsOn: ["python"],
  commands: ["(?:^|/)trtllm-serve\\b"],
  libraries: ["/libtensorrt_llm\\.so|/libnvinfer_plugin_tensorrt_llm\\.so"],
  traits: [
    {
      path: "/v1/models",
      json: { "data[].owned_by": { matches: "^tensorrt_llm$" } },
      weight: "identity",
      says: "its models are owned by tensorrt_llm",
    },
  ],
  version: [{ path: "/version", at: "version" }],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: true }],
  openai: true,
  directories: [{ path: "~/.cache/huggingface/hub", layout: "huggingface" }],
  sources: ["https://nvidia.github.io/TensorRT-LLM/commands/trtllm-serve.html"],
  fixtures: {
    positive: [
      {
        source: "code: NVIDIA/TensorRT-LLM 54cf7be tensorrt_llm/serve/openai_protocol.py (ModelCard)",
        answers: {
          "/v1/models": {
            body: {
              object: "list",
              data: [
                {
                  id: "TinyLlama-1.1B-Chat-v1.0",
                  object: "model",
                  created: 1700000000,
                  owned_by: "tensorrt_llm",
                },
              ],
            },
          },
          "/version": { body: { version: "1.0.0" } },
        },
      },
      {
        source: "code: NVIDIA/TensorRT-LLM 4c05a74 tensorrt_llm/commands/serve.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/usr/bin/python3.12", "/usr/local/bin/trtllm-serve", "m"],
        },
      },
    ],
    negative: [
      {
        source: "documented: vLLM lists models owned by vllm",
        answers: {
          "/v1/models": {
            body: {
              object: "list",
              data: [{ id: "m", object: "model", created: 1700000000, owned_by: "vllm" }],
            },
          },
        },
      },
    ],
  },
};

export default entry;
