import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "speaches",
  name: "Speaches",
  kind: "speech",
  ports: [8000],
  names: ["speaches"],
  runsOn: ["python"],
  commands: ["speaches\\.main:create_app"],
  traits: [
    {
      path: "/openapi.json",
      json: { "info.title": { matches: "^(?:Speaches|faster-whisper-server)$" } },
      weight: "identity",
      says: "the API description is titled Speaches",
    },
  ],
  version: [{ path: "/openapi.json", at: "info.version" }],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: false }],
  openai: true,
  directories: [{ path: "~/.cache/huggingface/hub", layout: "huggingface" }],
  sources: ["https://speaches.ai/"],
  fixtures: {
    positive: [
      {
        source: "code: speaches-ai/speaches 870e1e1 src/speaches/main.py (FastAPI title)",
        answers: {
          "/openapi.json": {
            body: { openapi: "3.1.0", info: { title: "Speaches", version: "0.8.3" }, paths: {} },
          },
          "/v1/models": {
            body: {
              object: "list",
              data: [
                { id: "Systran/faster-whisper-small", object: "model", owned_by: "Systran", created: 0 },
              ],
            },
          },
        },
      },
      {
        source: "code: speaches-ai/speaches 870e1e1 Dockerfile",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/uvicorn", "--factory", "speaches.main:create_app"],
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
