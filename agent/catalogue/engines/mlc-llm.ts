import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "mlc-llm",
  name: "MLC LLM",
  kind: "inference-engine",
  ports: [8000],
  names: ["mlc_llm"],
  runsOn: ["python"],
  commands: ["(?:^|/)mlc_llm serve\\b", "-m mlc_llm serve\\b"],
  libraries: ["/libmlc_llm(?:_module)?\\.(?:so|dylib)"],
  traits: [
    {
      path: "/v1/models",
      json: { "data[].owned_by": { matches: "^MLC-LLM$" } },
      weight: "identity",
      says: "its models are owned by MLC-LLM",
    },
  ],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: true }],
  openai: true,
  directories: [{ path: "~/.cache/mlc_llm", layout: "files" }],
  sources: ["https://llm.mlc.ai/docs/deploy/rest.html"],
  fixtures: {
    positive: [
      {
        source: "code: mlc-ai/mlc-llm 79d603f python/mlc_llm/protocol/openai_api_protocol.py (ModelResponse)",
        answers: {
          "/v1/models": {
            body: {
              object: "list",
              data: [
                {
                  id: "HF://mlc-ai/Llama-3-8B-Instruct-q4f16_1-MLC",
                  object: "model",
                  created: 1700000000,
                  owned_by: "MLC-LLM",
                },
              ],
            },
          },
        },
      },
      {
        source: "code: mlc-ai/mlc-llm 79d603f python/mlc_llm/__main__.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "-m", "mlc_llm", "serve", "m"],
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
