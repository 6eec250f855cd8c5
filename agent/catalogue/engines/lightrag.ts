import type { CatalogEntry } from "../entry.ts";

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
      {
        source: "recorded from lightrag-hku 1.5.7 with an unreachable model; it copies Ollama's lists",
        answers: {
          "/": { status: 307, headers: { server: "uvicorn", location: "/webui/" } },
          "/openapi.json": {
            headers: { server: "uvicorn" },
            body: {
              openapi: "3.1.0",
              info: {
                title: "LightRAG Server API",
                description:
                  "Providing API for LightRAG core, Web UI and Ollama Model Emulation\n\n[View ReDoc documentation](/redoc)",
                version: "0344",
              },
              paths: {},
            },
          },
          "/auth-status": {
            headers: { server: "uvicorn" },
            body: {
              auth_configured: false,
              access_token: "…",
              token_type: "bearer",
              auth_mode: "disabled",
              message: "Authentication is disabled. Using guest access.",
              core_version: "1.5.7",
              api_version: "0344",
              webui_title: null,
              webui_description: null,
              ai_content_notice_enabled: false,
            },
          },
          "/api/version": { headers: { server: "uvicorn" }, body: { version: "0.9.3" } },
          "/api/tags": {
            headers: { server: "uvicorn" },
            body: {
              models: [
                {
                  name: "lightrag:latest",
                  model: "lightrag:latest",
                  size: 7365960935,
                  digest: "sha256:lightrag",
                  modified_at: "2024-01-15T00:00:00Z",
                  details: {
                    parent_model: "",
                    format: "gguf",
                    family: "lightrag",
                    families: ["lightrag"],
                    parameter_size: "13B",
                    quantization_level: "Q4_0",
                  },
                },
              ],
            },
          },
          "/webui/": {
            headers: { server: "uvicorn" },
            body: '<!doctype html>\n<html lang="en">\n  <head>\n    <meta charset="UTF-8" />\n    <meta http-equiv="Cache-Control" content="no-cache, no-store, must-revalidate" />\n    <meta http-equiv="Pragma" content="no-cache" />\n    <meta http-equiv="Expires" content="0" />\n    <link rel="icon" type="image/png" href="f',
          },
        },
        process: {
          executable: "/usr/bin/python3.12",
          argv: [
            "/venv/bin/python",
            "../../venv/lightrag/bin/lightrag-server",
            "--host",
            "127.0.0.1",
            "--port",
            "34105",
            "--llm-binding",
            "openai",
            "--embedding-binding",
            "openai",
          ],
        },
      },
      {
        source: "code: lightrag-hku 1.5.7 (PyPI) lightrag/api/lightrag_server.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "-m", "lightrag.api.lightrag_server"],
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
