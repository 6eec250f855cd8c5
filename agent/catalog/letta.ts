import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "letta",
  name: "Letta",
  kind: "agent",
  ports: [8283],
  names: ["letta"],
  runsOn: ["python", "node"],
  commands: ["(?:^|[/ ])letta server\\b"],
  binaries: ["/letta_code/_payload/bin/node(?:\\.exe)?$"],
  traits: [
    {
      path: "/openapi.json",
      json: { "info.title": { matches: "^Letta$" } },
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
        source: "code: letta 0.34.12 (PyPI) letta_code, a Node of its own",
        process: {
          executable: "/venv/lib/python3.11/site-packages/letta_code/_payload/bin/node",
          argv: ["/venv/lib/python3.11/site-packages/letta_code/_payload/bin/node", "letta.js"],
        },
      },
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
