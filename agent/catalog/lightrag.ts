import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "lightrag",
  name: "LightRAG",
  kind: "rag",
  ports: [9621],
  names: ["lightrag-server"],
  runsOn: ["python"],
  commands: ["(?:^|/)lightrag-(?:server|gunicorn)\\b", "-m lightrag\\.api"],
  traits: [
    {
      path: "/openapi.json",
      json: { "info.title": { matches: "^LightRAG" } },
      weight: "identity",
      says: "the API description is LightRAG's",
    },
    {
      path: "/auth-status",
      json: {
        core_version: { is: "string" },
        api_version: { is: "string" },
        auth_configured: { is: "boolean" },
      },
      weight: "strong",
      says: "LightRAG's access document",
    },
  ],
  version: [{ path: "/auth-status", at: "core_version" }],
  impersonates: ["ollama"],
  sources: ["https://github.com/HKUDS/LightRAG/tree/main/lightrag/api"],
  fixtures: {
    positive: [
      {
        source:
          "code: lightrag-hku 1.5.7 (PyPI) lightrag/api/lightrag_server.py (app_kwargs, GET /auth-status)",
        answers: {
          "/openapi.json": {
            body: { openapi: "3.1.0", info: { title: "LightRAG Server API", version: "0253" }, paths: {} },
          },
          "/auth-status": {
            body: {
              auth_configured: false,
              access_token: "x",
              token_type: "bearer",
              auth_mode: "disabled",
              core_version: "1.4.9",
              api_version: "0253",
            },
          },
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
