import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "ktransformers",
  name: "KTransformers",
  kind: "inference-engine",
  ports: [10002, 30000],
  names: ["ktransformers"],
  runsOn: ["python"],
  commands: [
    "(?:^|/)ktransformers\\b.*--(?:model_path|gguf_path)",
    "-m ktransformers\\.",
    "/ktransformers/server/main\\.py",
  ],
  libraries: ["/KTransformersOps|/cpuinfer_ext"],
  traits: [
    {
      path: "/openapi.json",
      json: { "info.title": { matches: "^ktransformers server" } },
      weight: "identity",
      says: "the API description is titled ktransformers server",
    },
  ],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: true }],
  openai: true,
  impersonates: ["ollama"],
  directories: [{ path: "~/.cache/huggingface/hub", layout: "huggingface" }],
  sources: ["https://github.com/kvcache-ai/ktransformers"],
  fixtures: {
    positive: [
      {
        source:
          "code: kvcache-ai/ktransformers 95009ea archive/ktransformers/server/main.py (custom_openapi)",
        answers: {
          "/openapi.json": {
            body: { openapi: "3.1.0", info: { title: "ktransformers server", version: "1.0.0" }, paths: {} },
          },
        },
      },
      {
        source: "code: kvcache-ai/ktransformers 95009ea archive/ktransformers/server/main.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/srv/ktransformers/server/main.py", "--port", "10002"],
        },
      },
      {
        source: "code: kvcache-ai/ktransformers 95009ea archive/ktransformers, run as a module",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "-m", "ktransformers.server.main"],
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
