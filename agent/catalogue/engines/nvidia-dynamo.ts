import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "nvidia-dynamo",
  name: "NVIDIA Dynamo",
  kind: "inference-engine",
  ports: [8000],
  names: ["dynamo-run"],
  runsOn: ["python"],
  commands: ["-m dynamo\\.(?:frontend|vllm|sglang|trtllm)\\b"],
  traits: [
    {
      path: "/openapi.json",
      json: { "info.title": { matches: "^NVIDIA Dynamo OpenAI Frontend" } },
      weight: "identity",
      says: "the API description is titled NVIDIA Dynamo OpenAI Frontend",
    },
    {
      path: "/metrics",
      body: "(?:^|\\n)(?:# HELP )?dynamo_frontend_",
      weight: "identity",
      says: "metrics named dynamo_frontend",
    },
  ],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: true }],
  openai: true,
  absorbs: ["vllm", "sglang", "tensorrt-llm", "unknown-weights", "openai-compatible"],
  sources: ["https://docs.nvidia.com/dynamo/"],
  fixtures: {
    positive: [
      {
        source:
          "code: ai-dynamo-runtime 1.6.1 (PyPI), strings of lib/llm/src/http/service/openapi_docs.rs and metrics.rs",
        answers: {
          "/openapi.json": {
            body: {
              openapi: "3.1.0",
              info: { title: "NVIDIA Dynamo OpenAI Frontend", version: "0.6.0" },
              paths: {},
            },
          },
          "/v1/models": {
            body: {
              object: "list",
              data: [{ id: "Qwen/Qwen3-0.6B", object: "model", created: 1700000000, owned_by: "nvidia" }],
            },
          },
          "/metrics": { body: "# HELP dynamo_frontend_requests_total n\n" },
        },
      },
    ],
    negative: [
      {
        source: "recorded from FastAPI: its default description",
        answers: {
          "/openapi.json": {
            body: { openapi: "3.1.0", info: { title: "FastAPI", version: "0.1.0" }, paths: {} },
          },
        },
      },
    ],
  },
};

export default entry;
