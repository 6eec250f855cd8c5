import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "llama-cpp-python",
  name: "llama-cpp-python",
  kind: "inference-engine",
  ports: [8000],
  names: [],
  runsOn: ["python"],
  commands: ["-m llama_cpp\\.server\\b"],
  libraries: ["/llama_cpp/lib/(?:lib)?(?:llama|ggml)"],
  traits: [
    {
      path: "/openapi.json",
      json: { "info.title": { matches: "llama\\.cpp Python API$" } },
      weight: "identity",
      says: "the API description is titled llama.cpp Python API",
    },
  ],
  version: [{ path: "/openapi.json", at: "info.version" }],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: true }],
  openai: true,
  sources: ["https://llama-cpp-python.readthedocs.io/en/latest/server/"],
  fixtures: {
    positive: [
      {
        source: "documented: abetlen/llama-cpp-python llama_cpp/server/app.py (FastAPI title)",
        answers: {
          "/openapi.json": {
            body: {
              openapi: "3.1.0",
              info: { title: "🦙 llama.cpp Python API", version: "0.3.16" },
              paths: {},
            },
          },
          "/v1/models": {
            body: { object: "list", data: [{ id: "/m/a.gguf", object: "model", owned_by: "me" }] },
          },
        },
      },
      {
        source: "documented: llama-cpp-python loads its own libllama from llama_cpp/lib",
        process: {
          executable: "/usr/bin/python3.11",
          argv: ["python3", "chat.py"],
          libraries: ["/home/ada/.venv/lib/python3.11/site-packages/llama_cpp/lib/libllama.so"],
        },
      },
      {
        source: "recorded from llama-cpp-python 0.3.16 (python -m llama_cpp.server)",
        answers: {
          "/": { status: 404, headers: { server: "uvicorn" }, body: { detail: "Not Found" } },
          "/v1/models": {
            headers: { server: "uvicorn" },
            body: {
              object: "list",
              data: [{ id: "/tmp/tiny.gguf", object: "model", owned_by: "me", permissions: [] }],
            },
          },
          "/openapi.json": {
            body: {
              openapi: "3.1.0",
              info: { title: "🦙 llama.cpp Python API", version: "0.3.16" },
              paths: {},
            },
          },
        },
        process: {
          executable: "/usr/bin/python3.11",
          argv: ["python", "-m", "llama_cpp.server", "--model", "tiny.gguf"],
          libraries: ["/opt/venv/lib/python3.11/site-packages/llama_cpp/lib/libggml-base.so"],
        },
      },
    ],
    negative: [
      {
        source: "recorded from FastAPI: its default description",
        answers: {
          "/openapi.json": { body: { openapi: "3.1.0", info: { title: "FastAPI", version: "0.1.0" } } },
        },
      },
      {
        source: "made up: Python without the library",
        process: { executable: "/usr/bin/python3.11", argv: ["python3", "-m", "http.server"] },
      },
    ],
  },
};

export default entry;
