import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "aphrodite",
  name: "Aphrodite Engine",
  kind: "inference-engine",
  ports: [2242],
  names: ["aphrodite"],
  runsOn: ["python"],
  commands: ["(?:^|/)aphrodite (?:run|serve)\\b", "-m aphrodite\\.endpoints\\."],
  traits: [
    {
      path: "/v1/models",
      json: { "data[].owned_by": { matches: "^pygmalionai$" } },
      weight: "identity",
      says: "its models are owned by pygmalionai",
    },
    {
      path: "/metrics",
      body: "(?:^|\\n)(?:# HELP )?aphrodite:",
      weight: "identity",
      says: "metrics named aphrodite",
    },
  ],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: true }],
  openai: true,
  directories: [{ path: "~/.cache/huggingface/hub", layout: "huggingface" }],
  sources: ["https://github.com/aphrodite-engine/aphrodite-engine"],
  fixtures: {
    positive: [
      {
        source: "documented: aphrodite-engine/aphrodite-engine endpoints/openai/protocol.py (ModelCard)",
        answers: {
          "/v1/models": {
            body: {
              object: "list",
              data: [
                {
                  id: "meta-llama/Llama-3-8B",
                  object: "model",
                  created: 1700000000,
                  owned_by: "pygmalionai",
                },
              ],
            },
          },
        },
      },
      {
        source: "documented: aphrodite-engine engine/metrics.py, --api-keys set",
        answers: {
          "/v1/models": { status: 401, body: { error: "Unauthorized" } },
          "/metrics": { body: "# HELP aphrodite:num_requests_running n\n" },
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
