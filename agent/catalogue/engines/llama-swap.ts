import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "llama-swap",
  name: "llama-swap",
  kind: "gateway",
  ports: [8080],
  names: ["llama-swap", "llama-swap-*"],
  traits: [
    {
      path: "/v1/models",
      json: { "data[].owned_by": { matches: "^llama-swap$" } },
      weight: "identity",
      says: "its models are owned by llama-swap",
    },
  ],
  models: [
    { path: "/v1/models", each: "data[]", name: "id", loaded: false },
    { path: "/running", each: "running[]", name: "model", loaded: { at: "state", matches: "^ready$" } },
  ],
  openai: true,
  absorbs: ["llama-cpp", "vllm", "unknown-weights", "openai-compatible"],
  sources: ["https://github.com/mostlygeek/llama-swap"],
  fixtures: {
    positive: [
      {
        source: "code: mostlygeek/llama-swap v250 internal/server/api.go (GET /v1/models)",
        answers: {
          "/v1/models": {
            body: {
              object: "list",
              data: [{ id: "llama", object: "model", created: 1700000000, owned_by: "llama-swap" }],
            },
          },
          "/running": { body: { running: [] } },
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
