import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "letta",
  name: "Letta",
  kind: "agent",
  ports: [8283],
  names: ["letta"],
  runsOn: ["python"],
  commands: ["(?:^|[/ ])letta server\\b"],
  traits: [
    {
      path: "/openapi.json",
      body: '"title":\\s*"Letta"',
      weight: "identity",
      says: "the API description is titled Letta",
    },
    { path: "/", body: "<title>Letta\\b", weight: "identity", says: "the page is titled Letta" },
  ],
  version: [{ path: "/v1/health/", at: "version" }],
  sources: ["https://docs.letta.com/"],
  fixtures: {
    positive: [
      {
        source: "documented: letta-ai/letta server/rest_api/app.py (FastAPI title) and health.py",
        answers: {
          "/": { body: "<!doctype html><html><head><title>Letta</title></head><body></body></html>" },
          "/openapi.json": {
            body: { openapi: "3.1.0", info: { title: "Letta", version: "0.11.0" }, paths: {} },
          },
          "/v1/health/": { body: { version: "0.11.7", status: "ok" } },
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
