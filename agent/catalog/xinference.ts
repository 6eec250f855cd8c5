import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "xinference",
  name: "Xorbits Inference",
  kind: "inference-engine",
  ports: [9997],
  names: ["xinference", "xinference-local", "xinference-supervisor", "xinference-worker"],
  runsOn: ["python"],
  commands: ["(?:^|/)xinference(?:-local|-supervisor|-worker)?\\b.*(?:-H|--host|--log-level)"],
  traits: [
    {
      path: "/v1/models",
      json: { "data[].owned_by": { matches: "^xinference$" } },
      weight: "identity",
      says: "its models are owned by xinference",
    },
    {
      path: "/v1/cluster/version",
      json: { version: { is: "string" }, "full-revisionid": { is: "present" }, dirty: { is: "boolean" } },
      weight: "strong",
      says: "Xinference's cluster version",
    },
    {
      path: "/ui/",
      body: "<title>[^<]*Xinference",
      weight: "identity",
      says: "the page is titled Xinference",
    },
  ],
  version: [{ path: "/v1/cluster/version", at: "version" }],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: true }],
  openai: true,
  absorbs: ["vllm", "sglang", "llama-cpp", "unknown-weights", "openai-compatible"],
  directories: [{ path: "~/.xinference/cache", layout: "files" }],
  sources: ["https://inference.readthedocs.io/"],
  fixtures: {
    positive: [
      {
        source:
          "code: xinference 4.1.0 (PyPI) api/routers/admin.py (GET /v1/cluster/version), api/restful_api.py, ui/web/dist",
        answers: {
          "/v1/cluster/version": {
            body: {
              date: "2025-06-01T10:00:00+0800",
              dirty: false,
              error: null,
              "full-revisionid": "ad71dcd5bb1f2a1a8e9a2e0a1b8d4a2f0e0c1d2e",
              version: "1.7.0",
            },
          },
          "/v1/models": {
            body: {
              object: "list",
              data: [
                {
                  id: "qwen3",
                  object: "model",
                  created: 0,
                  owned_by: "xinference",
                  model_name: "qwen3",
                  model_type: "LLM",
                },
              ],
            },
          },
          "/ui/": { body: "<!doctype html><html><head><title>Xinference</title></head><body></body></html>" },
        },
      },
    ],
    negative: [
      {
        source: "made up: a version document",
        answers: { "/v1/cluster/version": { body: { version: "1.0" } } },
      },
    ],
  },
};

export default entry;
