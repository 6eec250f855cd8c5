import type { CatalogEntry } from "../entry.ts";

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
    {
      path: "/",
      body: "<title>Xinference</title>",
      weight: "identity",
      says: "the page is titled Xinference",
    },
    {
      path: "/status",
      json: { uptime: { is: "number" }, workers: { is: "object" } },
      body: '"failure_remaining_count":',
      weight: "strong",
      says: "Xinference's state of its workers",
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
      {
        source: "recorded from xinference 4.1.0 (xinference-local), which asks for a sign-in from the start",
        answers: {
          "/": {
            headers: { server: "uvicorn" },
            body: '<!DOCTYPE html><!--WDpPv1O3XLcbyL6TfJfvK--><html lang="en"><head><meta charSet="utf-8"/><meta name="viewport" content="width=device-width, initial-sca<title>Xinference</title><meta name="des',
          },
          "/v1/models": {
            status: 401,
            headers: { server: "uvicorn", "www-authenticate": 'Bearer scope="models:list"' },
            body: { detail: "Could not validate credentials" },
          },
          "/status": {
            headers: { server: "uvicorn" },
            body: {
              uptime: 131,
              workers: {
                "127.0.0.1:55721": {
                  update_time: 1795774283.0132706,
                  failure_remaining_count: 5,
                  status: {
                    cpu: {
                      usage: 1,
                      total: 2,
                      memory_used: 4975030272,
                      memory_available: 20301471744,
                      memory_total: 25276502016,
                    },
                  },
                },
              },
            },
          },
          "/v1/cluster/version": {
            status: 401,
            headers: { server: "uvicorn", "www-authenticate": 'Bearer scope="admin"' },
            body: { detail: "Could not validate credentials" },
          },
          "/ui/": { status: 307, headers: { server: "uvicorn", location: "/" } },
        },
        process: {
          executable: "/usr/bin/python3.11",
          argv: ["/venv/bin/python", "/venv/bin/xinference-local", "--host", "127.0.0.1", "--port", "21144"],
        },
      },
    ],
    negative: [
      {
        source: "made up: a status response with workers of another service",
        answers: { "/status": { body: { uptime: 85, workers: { "10.0.0.2:9000": { jobs: 3 } } } } },
      },
      {
        source: "made up: a version response of another service",
        answers: { "/v1/cluster/version": { body: { version: "1.0" } } },
      },
    ],
  },
};

export default entry;
