import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "litellm",
  name: "LiteLLM proxy",
  kind: "gateway",
  ports: [4000],
  names: ["litellm"],
  runsOn: ["python"],
  commands: ["litellm\\.proxy\\.proxy_(?:cli|server)"],
  traits: [
    { path: "/", body: "<title>LiteLLM(?: API)?", weight: "identity", says: "the page is titled LiteLLM" },
    {
      path: "/openapi.json",
      body: '"title":\\s*"LiteLLM API"|Proxy Server to call 100\\+ LLMs',
      weight: "identity",
      says: "the API description is LiteLLM's",
    },
    {
      path: "/health/readiness",
      statuses: [200, 503],
      json: { litellm_version: { is: "present" } },
      weight: "identity",
      says: "the readiness answer has a litellm_version",
    },
    {
      path: "/v1/models",
      statuses: [401, 403],
      body: "LiteLLM Virtual Key|No api key passed in\\.",
      weight: "strong",
      says: "LiteLLM's error for a missing key",
    },
  ],
  version: [{ path: "/health/readiness", at: "litellm_version" }],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: false }],
  openai: true,
  sources: ["https://docs.litellm.ai/docs/proxy/health"],
  fixtures: {
    positive: [
      {
        source:
          "code: litellm 1.110.2 (PyPI) proxy/proxy_server.py (title), health_endpoints/_health_endpoints.py",
        answers: {
          "/": { body: "<!DOCTYPE html><html><head><title>LiteLLM API - Swagger UI</title>" },
          "/openapi.json": { body: { openapi: "3.1.0", info: { title: "LiteLLM API", version: "1.40.21" } } },
          "/health/readiness": {
            body: {
              status: "connected",
              db: "connected",
              cache: null,
              litellm_version: "1.40.21",
              success_callbacks: [],
            },
          },
          "/v1/models": {
            body: { object: "list", data: [{ id: "gpt-4o", object: "model", owned_by: "openai" }] },
          },
        },
      },
      {
        source: "code: litellm 1.110.2 (PyPI) proxy/auth/user_api_key_auth.py",
        answers: {
          "/": { status: 404, body: "" },
          "/v1/models": {
            status: 401,
            body: {
              error: {
                message: "Authentication Error, No api key passed in.",
                type: "auth_error",
                param: "None",
                code: "401",
              },
            },
          },
        },
      },
      {
        source: "recorded from litellm 1.106.2 with a configuration file and no master key",
        answers: {
          "/": {
            body: "\n    <!DOCTYPE html>\n    <html>\n    <head>\n    <title>LiteLLM API - Swagger UI</title>",
          },
          "/health/readiness": { body: { status: "healthy", db: "Not connected" } },
          "/v1/models": {
            body: {
              data: [{ id: "local-model", object: "model", created: 1677610602, owned_by: "openai" }],
              object: "list",
            },
          },
        },
      },
      {
        source: "code: litellm 1.110.2 (PyPI) proxy/proxy_cli.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "-m", "litellm.proxy.proxy_cli", "--port", "4000"],
        },
      },
    ],
    negative: [
      {
        source: "documented: llama.cpp with --api-key",
        answers: {
          "/v1/models": {
            status: 401,
            body: { error: { code: 401, message: "Invalid API Key", type: "authentication_error" } },
          },
        },
      },
    ],
  },
};

export default entry;
