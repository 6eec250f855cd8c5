import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "letta",
  name: "Letta",
  kind: "agent",
  ports: [8283],
  names: ["letta"],
  runsOn: ["python", "node"],
  commands: [
    "(?:^|[/ ])letta server\\b",
    "/@letta-ai/letta-code/",
    "node(?: -\\S+)* \\S*/\\.?bin/letta(?: |$)",
  ],
  binaries: ["/letta_code/_payload/bin/node(?:\\.exe)?$"],
  traits: [
    {
      path: "/openapi.json",
      json: { "info.title": { matches: "^Letta$" } },
      weight: "identity",
      says: "the API description is titled Letta",
    },
    {
      path: "/v1/models",
      statuses: [500],
      json: { "error.message": { matches: "^Missing LETTA_API_KEY" } },
      weight: "strong",
      says: "an error that asks for LETTA_API_KEY",
    },
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
        source:
          "code: letta-ai/letta 0.16.8 letta/server/rest_api/app.py (FastAPI title), static_files.py (GET /)",
        answers: {
          "/": { status: 307, headers: { location: "/docs" } },
          "/openapi.json": {
            body: { openapi: "3.1.0", info: { title: "Letta", version: "0.16.8" }, paths: {} },
          },
          "/v1/health/": { body: { version: "0.11.7", status: "ok" } },
        },
      },
      {
        source: "recorded from letta 0.34.12 (letta server --listen --openai-api), without signing in",
        answers: {
          "/": { status: 404 },
          "/v1/models": {
            status: 500,
            body: {
              error: {
                message:
                  "Missing LETTA_API_KEY. Run 'letta' to configure authentication, or set LETTA_API_KEY to your API key.",
                type: "server_error",
                param: null,
                code: null,
              },
            },
          },
        },
        process: {
          executable: "/venv/lib/python3.12/site-packages/letta_code/_payload/bin/node",
          argv: [
            "/venv/lib/python3.12/site-packages/letta_code/_payload/bin/node",
            "/venv/lib/python3.12/site-packages/letta_code/_payload/app/letta.js",
            "server",
            "--listen",
            "ws://127.0.0.1:21161",
            "--openai-api",
          ],
        },
      },
      {
        source: "recorded from letta 0.34.12 (letta server --listen --openai-api), local, without an agent",
        answers: { "/": { status: 404 }, "/v1/models": { body: { object: "list", data: [] } } },
        process: {
          executable: "/venv/lib/python3.12/site-packages/letta_code/_payload/bin/node",
          argv: [
            "/venv/lib/python3.12/site-packages/letta_code/_payload/bin/node",
            "/venv/lib/python3.12/site-packages/letta_code/_payload/app/letta.js",
            "server",
            "--listen",
            "ws://127.0.0.1:21161",
            "--openai-api",
          ],
        },
      },
      {
        source: "recorded from @letta-ai/letta-code 0.25.9 (npm): run through the link that npm makes",
        process: { executable: "/usr/bin/node", argv: ["node", "/srv/app/node_modules/.bin/letta"] },
      },
      {
        source: "code: letta-ai/letta 0.16.8 pyproject.toml (letta)",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/letta", "server"],
        },
      },
      {
        source: "recorded from @letta-ai/letta-code 0.25.9 (npm), by its place",
        process: {
          executable: "/usr/bin/node",
          argv: ["node", "/usr/lib/node_modules/@letta-ai/letta-code/letta.js"],
        },
      },
    ],
    negative: [
      {
        source: "made up: another server that reports its own missing API key",
        answers: { "/v1/models": { status: 500, body: { error: { message: "Missing OPENAI_API_KEY" } } } },
      },
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
