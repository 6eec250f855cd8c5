import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "onyx",
  name: "Onyx",
  kind: "rag",
  ports: [3000, 8080],
  names: [],
  runsOn: ["python"],
  commands: ["onyx\\.main:app"],
  traits: [
    {
      path: "/openapi.json",
      json: { "info.title": { matches: "^Onyx Backend$" } },
      weight: "identity",
      says: "the API description is titled Onyx Backend",
    },
  ],
  sources: ["https://docs.onyx.app/"],
  fixtures: {
    positive: [
      {
        source:
          "code: onyx-dot-app/onyx a7d66a8 backend/onyx/main.py (get_application; with ENABLE_PUBLIC_DOCS)",
        answers: {
          "/openapi.json": {
            body: {
              openapi: "3.1.0",
              info: {
                title: "Onyx Backend",
                description: "Onyx API for AI-powered enterprise search and chat",
                version: "2.0.0",
              },
              paths: {},
            },
          },
        },
      },
      {
        source: "code: onyx-dot-app/onyx a7d66a8 backend/onyx/main.py, run by uvicorn",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/uvicorn", "onyx.main:app", "--port", "8080"],
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
