import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "transformers-serve",
  name: "Transformers serve",
  kind: "inference-engine",
  ports: [8000],
  names: ["transformers", "transformers-cli"],
  runsOn: ["python"],
  commands: ["(?:^|[/ ])transformers(?:-cli)? (?:serve|chat)(?: |$)"],
  traits: [],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: false }],
  openai: true,
  directories: [{ path: "~/.cache/huggingface/hub", layout: "huggingface" }],
  sources: ["https://huggingface.co/docs/transformers/serving"],
  fixtures: {
    positive: [
      {
        source: "recorded from Transformers 5.23.0 (transformers serve DIRECTORY)",
        answers: {
          "/health": { headers: { server: "uvicorn" }, body: { status: "ok" } },
          "/v1/models": { headers: { server: "uvicorn" }, body: { object: "list", data: [] } },
          "/openapi.json": {
            body: { openapi: "3.1.0", info: { title: "FastAPI", version: "0.1.0" }, paths: {} },
          },
        },
        process: {
          executable: "/usr/bin/python3.11",
          argv: ["/venv/bin/python", "/venv/bin/transformers", "serve", "/models/llama", "--port", "48035"],
        },
      },
      {
        source: "documented: huggingface.co/docs/transformers/serving",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["python3", "/home/ada/.venv/bin/transformers", "serve", "--port", "8000"],
        },
      },
    ],
    negative: [
      {
        source: "made up: any Python program",
        process: { executable: "/usr/bin/python3.12", argv: ["python3", "app.py"] },
      },
    ],
  },
};

export default entry;
