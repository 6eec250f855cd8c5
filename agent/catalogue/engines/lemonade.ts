import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "lemonade",
  name: "Lemonade Server",
  kind: "inference-engine",
  ports: [8000, 13305],
  names: ["lemonade", "lemonade-server", "lemonade-router", "lemond", "lemonade-server-dev"],
  runsOn: ["python"],
  commands: ["(?:^|/)lemonade-server(?:-dev)? (?:serve|run)\\b"],
  traits: [
    {
      path: "/api/v1/health",
      json: { status: { is: "string" }, all_models_loaded: { is: "array" } },
      weight: "strong",
      says: "Lemonade's health document",
    },
    {
      path: "/api/v1/health",
      json: {
        status: { matches: "^ok$" },
        checkpoint_loaded: { is: "present" },
        model_loaded: { is: "present" },
      },
      weight: "strong",
      says: "Lemonade's health document",
    },
    {
      path: "/",
      body: "<title>[^<]*Lemonade Server",
      weight: "identity",
      says: "the page is titled Lemonade Server",
    },
  ],
  models: [
    { path: "/api/v1/health", each: "all_models_loaded[]", name: "model_name", loaded: true },
    { path: "/api/v1/models", each: "data[]", name: "id", loaded: false },
  ],
  openai: true,
  impersonates: ["ollama", "llama-cpp"],
  absorbs: ["llama-cpp", "fastflowlm", "unknown-weights", "openai-compatible"],
  directories: [{ path: "~/.cache/huggingface/hub", layout: "huggingface" }],
  sources: ["https://lemonade-server.ai/docs/server/server_spec"],
  fixtures: {
    positive: [
      {
        source:
          "code: lemonade-sdk/lemonade v9.1.0 and v11.7.0 src/cpp/resources/static/index.html, src/cpp/server/server.cpp (GET /api/v1/health)",
        answers: {
          "/": {
            body: "<!doctype html><html><head><title>Lemonade Server</title></head><body></body></html>",
          },
          "/api/v1/health": {
            body: {
              status: "ok",
              checkpoint_loaded: "amd/Llama-3.2-1B-Instruct-awq-g128",
              model_loaded: "Llama-3.2-1B-Instruct-Hybrid",
              all_models_loaded: [{ model_name: "Llama-3.2-1B-Instruct-Hybrid", type: "llm" }],
            },
          },
        },
      },
    ],
    negative: [
      {
        source: "made up: a health response of another service",
        answers: { "/api/v1/health": { body: { status: "ok" } } },
      },
    ],
  },
};

export default entry;
