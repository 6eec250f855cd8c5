import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "vllm",
  name: "vLLM",
  kind: "inference-engine",
  ports: [8000],
  names: ["vllm", "vllm::enginecore", "vllm::enginecor", "vllm::worker*"],
  runsOn: ["python"],
  commands: ["(?:^|/| )vllm serve\\b", "-m vllm\\.entrypoints\\."],
  libraries: ["/vllm/(?:_C|_moe_C|vllm_flash_attn)[^/]*\\.so"],
  traits: [
    {
      path: "/v1/models",
      json: { "data[].owned_by": { matches: "^vllm$" } },
      weight: "identity",
      says: "its models are owned by vllm",
    },
    { path: "/metrics", body: "(?:^|\\n)(?:# HELP )?vllm:", weight: "identity", says: "metrics named vllm" },
  ],
  version: [{ path: "/version", at: "version" }],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: true }],
  openai: true,
  directories: [{ path: "~/.cache/huggingface/hub", layout: "huggingface" }],
  sources: ["https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html"],
  fixtures: {
    positive: [
      {
        source:
          "code: vllm 0.33.0 (PyPI) entrypoints/serve/engine/protocol.py (ModelCard), serve/instrumentator/basic.py (GET /version)",
        answers: {
          "/": { status: 404, headers: { server: "uvicorn" }, body: { detail: "Not Found" } },
          "/version": { body: { version: "0.11.0" } },
          "/v1/models": {
            headers: { server: "uvicorn" },
            body: {
              object: "list",
              data: [
                {
                  id: "Qwen/Qwen2.5-0.5B-Instruct",
                  object: "model",
                  created: 1763762400,
                  owned_by: "vllm",
                  root: "Qwen/Qwen2.5-0.5B-Instruct",
                  parent: null,
                  max_model_len: 32768,
                  permission: [],
                },
              ],
            },
          },
        },
      },
      {
        source:
          "code: vllm 0.33.0 (PyPI) serve/instrumentator/metrics.py, v1/metrics/loggers.py; --api-key guards /v1 only",
        answers: {
          "/v1/models": { status: 401, headers: { server: "uvicorn" }, body: { error: "Unauthorized" } },
          "/metrics": {
            body: '# HELP python_gc_objects_collected_total x\n# TYPE a counter\n# HELP vllm:num_requests_running Number of requests\nvllm:num_requests_running{model_name="m"} 0.0\n',
          },
        },
      },
    ],
    negative: [
      {
        source: "made up: a uvicorn service with a version response and an OpenAI model list",
        answers: {
          "/version": { headers: { server: "uvicorn" }, body: { version: "0.1.0" } },
          "/v1/models": { body: { object: "list", data: [{ id: "m", object: "model", owned_by: "me" }] } },
        },
      },
    ],
  },
};

export default entry;
