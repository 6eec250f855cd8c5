import type { CatalogEntry } from "./entry.ts";

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
      body: '"title":\\s*"[^"]*Infinity - Embedding Inference Server',
      weight: "identity",
      says: "the API description is titled Infinity - Embedding Inference Server",
    },
    {
      path: "/v1/models",
      json: { "data[].owned_by": { matches: "^infinity$" } },
      weight: "identity",
      says: "its models are owned by infinity",
    },
  ],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: true }],
  openai: true,
  directories: [{ path: "~/.cache/huggingface/hub", layout: "huggingface" }],
  sources: ["https://github.com/michaelfeil/infinity"],
  fixtures: {
    positive: [
      {
        source: "documented: michaelfeil/infinity infinity_emb/fastapi_schemas (title, ModelInfo)",
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
    ],
    negative: [
      {
        source: "FastAPI default description",
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
