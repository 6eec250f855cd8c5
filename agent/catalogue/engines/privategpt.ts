import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "privategpt",
  name: "PrivateGPT",
  kind: "rag",
  ports: [8001],
  names: [],
  runsOn: ["python"],
  commands: ["-m private_gpt\\b"],
  traits: [
    {
      path: "/v1/ingest/list",
      json: { model: { matches: "^private-gpt$" } },
      weight: "identity",
      says: "its ingested documents name private-gpt",
    },
  ],
  openai: true,
  sources: ["https://docs.privategpt.dev/"],
  fixtures: {
    positive: [
      {
        source: "code: zylon-ai/private-gpt v0.6.2 server/ingest/ingest_router.py (IngestResponse)",
        answers: {
          "/v1/ingest/list": { body: { object: "list", model: "private-gpt", data: [] } },
          "/health": { body: { status: "ok" } },
        },
      },
      {
        source: "code: zylon-ai/private-gpt v1.0.1 private_gpt/__main__.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "-m", "private_gpt"],
        },
      },
    ],
    negative: [
      {
        source: "made up: an empty list",
        answers: { "/v1/ingest/list": { body: { object: "list", data: [] } } },
      },
    ],
  },
};

export default entry;
