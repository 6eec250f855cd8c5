import type { CatalogEntry } from "./entry.ts";

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
      body: '"title":\\s*"[^"]*Onyx Backend',
      weight: "identity",
      says: "the API description is titled Onyx Backend",
    },
  ],
  sources: ["https://docs.onyx.app/"],
  fixtures: {
    positive: [
      {
        source: "documented: onyx-dot-app/onyx backend/onyx/main.py (FastAPI title)",
        answers: {
          "/openapi.json": {
            body: { openapi: "3.1.0", info: { title: "Onyx Backend", version: "2.0.0" }, paths: {} },
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
