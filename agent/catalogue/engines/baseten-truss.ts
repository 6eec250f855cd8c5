import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "baseten-truss",
  name: "Baseten Truss",
  kind: "inference-engine",
  ports: [8080],
  names: ["truss"],
  runsOn: ["python"],
  commands: ["(?:^|/)truss run-python\\b"],
  traits: [
    {
      path: "/openapi.json",
      json: { "info.title": { matches: "^Baseten Inference Server" } },
      weight: "identity",
      says: "the API description is titled Baseten Inference Server",
    },
  ],
  sources: ["https://github.com/basetenlabs/truss"],
  fixtures: {
    positive: [
      {
        source: "code: truss 0.18.36 (PyPI) templates/server/truss_server.py (FastAPI title)",
        answers: {
          "/openapi.json": {
            body: {
              openapi: "3.1.0",
              info: { title: "Baseten Inference Server", version: "1.0.0" },
              paths: {},
            },
          },
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
