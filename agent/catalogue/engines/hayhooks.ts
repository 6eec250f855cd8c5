import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "hayhooks",
  name: "Hayhooks",
  kind: "agent-builder",
  ports: [1416, 1417],
  names: ["hayhooks"],
  runsOn: ["python"],
  commands: ["(?:^|[/ ])hayhooks (?:run|mcp run)\\b"],
  traits: [
    {
      path: "/openapi.json",
      json: { "info.title": { matches: "^Hayhooks$" } },
      weight: "identity",
      says: "the API description is titled Hayhooks",
    },
    {
      path: "/status",
      json: { status: { matches: "^Up!$" }, pipelines: { is: "array" } },
      weight: "strong",
      says: "its list of Haystack pipelines",
    },
  ],
  version: [{ path: "/openapi.json", at: "info.version" }],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: false }],
  openai: true,
  sources: ["https://docs.haystack.deepset.ai/docs/hayhooks"],
  fixtures: {
    positive: [
      {
        source: "recorded from hayhooks 2.1.0 without a pipeline",
        answers: {
          "/": { status: 404, headers: { server: "uvicorn" }, body: { detail: "Not Found" } },
          "/v1/models": { headers: { server: "uvicorn" }, body: { data: [], object: "list" } },
          "/openapi.json": {
            body: {
              openapi: "3.1.0",
              info: {
                title: "Hayhooks",
                description:
                  "Hayhooks makes it easy to deploy and serve Haystack pipelines as REST APIs or MCP Tools",
                version: "2.1.0",
              },
              paths: { "/status": {} },
            },
          },
          "/status": { body: { status: "Up!", pipelines: [], durable_mode: false, deployments: [] } },
        },
      },
      {
        source: "code: hayhooks 2.1.0 (PyPI) entry_points.txt, cli/base.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/hayhooks", "run"],
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
      {
        source: "made up: a service that reports that it is running",
        answers: { "/status": { body: { status: "Up!" } } },
      },
    ],
  },
};

export default entry;
