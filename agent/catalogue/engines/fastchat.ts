import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "fastchat",
  name: "FastChat",
  kind: "inference-engine",
  ports: [21001, 21002, 8000],
  names: [],
  runsOn: ["python"],
  commands: ["-m fastchat\\.serve\\."],
  traits: [
    {
      path: "/v1/models",
      json: { "data[].owned_by": { matches: "^fastchat$" } },
      weight: "identity",
      says: "its models are owned by fastchat",
    },
    {
      path: "/openapi.json",
      body: '"/refresh_all_workers"[^]*"/list_multimodal_models"[^]*"/receive_heart_beat"',
      weight: "strong",
      says: "the API description is that of FastChat's controller",
    },
  ],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: true }],
  openai: true,
  directories: [{ path: "~/.cache/huggingface/hub", layout: "huggingface" }],
  sources: ["https://github.com/lm-sys/FastChat/blob/main/docs/openai_api.md"],
  fixtures: {
    positive: [
      {
        source: "code: fschat 0.2.36 (PyPI) fastchat/protocol/openai_api_protocol.py (ModelCard)",
        answers: {
          "/v1/models": {
            body: {
              object: "list",
              data: [{ id: "vicuna-7b-v1.5", object: "model", created: 1700000000, owned_by: "fastchat" }],
            },
          },
        },
      },
      {
        source: "documented: FastChat docs/openai_api.md",
        process: { executable: "/usr/bin/python3.11", argv: ["python3", "-m", "fastchat.serve.controller"] },
      },
      {
        source: "recorded from fschat 0.2.36 (PyPI), its controller (python -m fastchat.serve.controller)",
        answers: {
          "/": { status: 404, headers: { server: "uvicorn" }, body: { detail: "Not Found" } },
          "/openapi.json": {
            headers: { server: "uvicorn" },
            body: '{"openapi":"3.1.0","info":{"title":"FastAPI","version":"0.1.0"},"paths":{"/register_worker":{"post":{}},"/refresh_all_workers":{"post":{}},"/list_models":{"post":{}},"/list_multimodal_models":{"post":{}},"/list_language_models":{"post":{}},"/get_worker_address":{"post":{}},"/receive_heart_beat":{"post":{}},"/worker_generate_stream":{"post":{}},"/worker_get_status":{"post":{}},"/test_connection":{"get":{}}}}',
          },
          "/get_worker_address": { status: 405, body: { detail: "Method Not Allowed" } },
        },
      },
      {
        source:
          "recorded from fschat 0.2.36 (PyPI), its API server in front of a controller whose worker does not respond",
        answers: {
          "/": { status: 404, headers: { server: "uvicorn" }, body: { detail: "Not Found" } },
          "/v1/models": { headers: { server: "uvicorn" }, body: { object: "list", data: [] } },
          "/openapi.json": {
            headers: { server: "uvicorn" },
            body: { openapi: "3.1.0", info: { title: "FastAPI", version: "0.1.0" }, paths: {} },
          },
        },
        process: {
          executable: "/usr/bin/python3.11",
          argv: [
            "/venv/bin/python",
            "-m",
            "fastchat.serve.openai_api_server",
            "--host",
            "127.0.0.1",
            "--port",
            "21152",
            "--controller-address",
            "http://127.0.0.1:21151",
          ],
        },
      },
    ],
    negative: [
      {
        source: "made up: a controller for the workers of another service",
        answers: {
          "/openapi.json": {
            body: { openapi: "3.1.0", info: { title: "FastAPI" }, paths: { "/refresh_all_workers": {} } },
          },
        },
      },
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
      {
        source: "made up: any Python program",
        process: { executable: "/usr/bin/python3.12", argv: ["python3", "app.py"] },
      },
    ],
  },
};

export default entry;
