import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "optillm",
  name: "OptiLLM",
  kind: "gateway",
  ports: [8000],
  names: ["optillm"],
  runsOn: ["python"],
  commands: ["(?:^|[/ ])optillm(?:\\.py)?\\b.*--(?:port|approach|model|base-url)"],
  traits: [
    {
      path: "/v1/models",
      json: { "data[].owned_by": { matches: "^optillm$" } },
      weight: "identity",
      says: "its models are owned by optillm",
    },
  ],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: true }],
  openai: true,
  sources: ["https://github.com/algorithmicsuperintelligence/optillm"],
  fixtures: {
    positive: [
      {
        source: "recorded from optillm 0.4.0 (PyPI) with an unreachable upstream",
        answers: {
          "/v1/models": {
            headers: { server: "Werkzeug/3.1.9 Python/3.11.7" },
            body: {
              data: [{ created: 1677610602, id: "gpt-4o-mini", object: "model", owned_by: "optillm" }],
              object: "list",
            },
          },
          "/health": { body: { status: "ok" } },
        },
      },
      {
        source: "code: optillm 0.4.0 (PyPI) optillm/server.py (GET /v1/models with a local model)",
        answers: {
          "/v1/models": {
            body: {
              object: "list",
              data: [{ id: "Qwen/Qwen3-0.6B", object: "model", created: 1677610602, owned_by: "optillm" }],
            },
          },
          "/health": { body: { status: "ok" } },
        },
      },
      {
        source: "code: optillm 0.4.0 (PyPI) entry points",
        process: {
          executable: "/usr/bin/python3.11",
          argv: ["python3", "/venv/bin/optillm", "--port", "8000"],
        },
      },
    ],
    negative: [
      {
        source: "documented: vLLM lists models owned by vllm",
        answers: {
          "/v1/models": {
            body: { object: "list", data: [{ id: "m", object: "model", created: 1, owned_by: "vllm" }] },
          },
        },
      },
    ],
  },
};

export default entry;
