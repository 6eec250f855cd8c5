import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "infinity",
  name: "Infinity",
  kind: "embedding-server",
  ports: [7997],
  names: ["infinity_emb"],
  runsOn: ["python"],
  commands: ["(?:^|/)infinity_emb v2\\b"],
  traits: [
    {
      path: "/openapi.json",
      json: { "info.title": { matches: "Infinity - Embedding Inference Server" } },
      weight: "identity",
      says: "the API description is titled Infinity - Embedding Inference Server",
    },
    {
      path: "/v1/models",
      json: { "data[].owned_by": { matches: "^infinity$" } },
      weight: "identity",
      says: "its models are owned by infinity",
    },
    {
      path: "/models",
      json: { "data[].owned_by": { matches: "^infinity$" } },
      weight: "identity",
      says: "its models are owned by infinity",
    },
  ],
  models: [
    { path: "/models", each: "data[]", name: "id", loaded: true },
    { path: "/v1/models", each: "data[]", name: "id", loaded: true },
  ],
  openai: true,
  directories: [{ path: "~/.cache/huggingface/hub", layout: "huggingface" }],
  version: [{ path: "/openapi.json", at: "info.version" }],
  sources: ["https://github.com/michaelfeil/infinity"],
  fixtures: {
    positive: [
      {
        source: "recorded from infinity-emb 0.0.78 with a small BERT of random weights",
        answers: {
          "/": { status: 307, headers: { server: "uvicorn", location: "/docs" } },
          "/openapi.json": {
            headers: { server: "uvicorn" },
            body: {
              openapi: "3.1.0",
              info: { title: "♾️ Infinity - Embedding Inference Server", version: "0.0.78" },
              paths: {},
            },
          },
          "/models": {
            body: {
              data: [
                {
                  id: "m/bert",
                  stats: { queue_fraction: 0, queue_absolute: 0, results_pending: 0, batch_size: 32 },
                  object: "model",
                  owned_by: "infinity",
                  created: 1795317202,
                  backend: "torch",
                  capabilities: ["embed"],
                },
              ],
              object: "list",
            },
          },
          "/health": { body: { unix: 1795317199.5295947 } },
        },
      },
      {
        source:
          "code: infinity-emb 0.0.78 (PyPI) fastapi_schemas/docs.py, pymodels.py, with --url-prefix /v1",
        answers: {
          "/openapi.json": {
            body: {
              openapi: "3.1.0",
              info: { title: "♾️ Infinity - Embedding Inference Server", version: "0.0.77" },
              paths: {},
            },
          },
          "/v1/models": {
            body: {
              object: "list",
              data: [
                {
                  id: "BAAI/bge-small-en-v1.5",
                  object: "model",
                  owned_by: "infinity",
                  created: 1,
                  backend: "torch",
                  stats: {},
                },
              ],
            },
          },
        },
      },
      {
        source: "recorded from infinity-emb 0.0.78 (infinity_emb v2), its command line",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/infinity_emb", "v2", "--model-id", "x"],
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
