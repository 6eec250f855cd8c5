import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "quivr",
  name: "Quivr",
  kind: "rag",
  ports: [5050],
  names: [],
  runsOn: ["python"],
  commands: ["quivr_api\\.main:app"],
  traits: [
    {
      path: "/openapi.json",
      body: '"/brains/".*"/knowledge/?',
      weight: "strong",
      says: "the API description has the paths of brains and knowledge",
    },
  ],
  sources: ["https://github.com/QuivrHQ/quivr"],
  fixtures: {
    positive: [
      {
        source:
          "code: QuivrHQ/quivr 0911453 backend/api/quivr_api/main.py, 11a7762 modules/brain/controller/brain_routes.py",
        answers: {
          "/openapi.json": {
            body: {
              openapi: "3.1.0",
              info: { title: "FastAPI", version: "0.1.0" },
              paths: { "/brains/": { get: {} }, "/knowledge/": { get: {} } },
            },
          },
        },
      },
      {
        source: "code: QuivrHQ/quivr 0911453 backend/api/quivr_api/main.py, run by uvicorn",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/uvicorn", "quivr_api.main:app"],
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
