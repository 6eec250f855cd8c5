import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "aphrodite",
  name: "Aphrodite Engine",
  kind: "inference-engine",
  ports: [2242],
  names: ["aphrodite"],
  runsOn: ["python"],
  commands: ["(?:^|/)aphrodite (?:run|serve)\\b", "-m aphrodite\\.(?:endpoints|entrypoints)\\."],
  traits: [
    {
      path: "/v1/models",
      json: { "data[].owned_by": { matches: "^(?:aphrodite|pygmalionai)$" } },
      weight: "identity",
      says: "its models are owned by aphrodite or pygmalionai",
    },
    {
      path: "/metrics",
      body: "(?:^|\\n)(?:# HELP )?aphrodite:",
      weight: "identity",
      says: "metrics named aphrodite",
    },
    {
      path: "/.well-known/serviceinfo",
      json: { "software.name": { matches: "^Aphrodite Engine$" } },
      weight: "identity",
      says: "its service information names Aphrodite Engine",
    },
  ],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: true }],
  openai: true,
  directories: [{ path: "~/.cache/huggingface/hub", layout: "huggingface" }],
  sources: ["https://github.com/aphrodite-engine/aphrodite-engine"],
  fixtures: {
    positive: [
      {
        source: "code: aphrodite-engine 0.24.1 (PyPI) entrypoints/serve/engine/protocol.py (ModelCard)",
        answers: {
          "/v1/models": {
            body: {
              object: "list",
              data: [
                {
                  id: "meta-llama/Llama-3-8B",
                  object: "model",
                  created: 1700000000,
                  owned_by: "aphrodite",
                },
              ],
            },
          },
        },
      },
      {
        source:
          "code: aphrodite-engine/aphrodite-engine v0.10.0 endpoints/openai/api_server.py (serviceinfo)",
        answers: {
          "/.well-known/serviceinfo": {
            body: { version: 0.2, software: { name: "Aphrodite Engine", version: "0.10.0" }, api: {} },
          },
        },
      },
      {
        source: "code: aphrodite-engine 0.24.1 (PyPI) v1/metrics/loggers.py, with --api-keys",
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
