import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "autogen-studio",
  name: "AutoGen Studio",
  kind: "agent-builder",
  ports: [8081, 8080],
  names: ["autogenstudio"],
  runsOn: ["python"],
  commands: ["(?:^|[/ ])autogenstudio ui\\b"],
  traits: [
    {
      path: "/api/version",
      json: { message: { matches: "^Version retrieved successfully" }, status: { is: "boolean" } },
      weight: "strong",
      says: "AutoGen Studio's version answer",
    },
  ],
  version: [{ path: "/api/version", at: "data.version" }],
  sources: ["https://microsoft.github.io/autogen/stable/user-guide/autogenstudio-user-guide/"],
  fixtures: {
    positive: [
      {
        source: "recorded from autogenstudio 0.4.2.2",
        answers: {
          "/api/version": {
            body: { status: true, message: "Version retrieved successfully", data: { version: "0.4.2.2" } },
          },
          "/openapi.json": {
            body: { openapi: "3.1.0", info: { title: "FastAPI", version: "0.1.0" }, paths: {} },
          },
        },
      },
      {
        source: "documented: microsoft/autogen python/packages/autogen-studio web/app.py",
        answers: {
          "/api/version": {
            body: { status: true, message: "Version retrieved successfully", data: { version: "0.4.2" } },
          },
        },
      },
      {
        source: "code: autogenstudio 0.4.2.2 (PyPI) entry_points.txt, cli.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/autogenstudio", "ui", "--port", "8081"],
        },
      },
    ],
    negative: [
      {
        source: "documented: ollama docs/api.md",
        answers: { "/api/version": { body: { version: "0.5.1" } } },
      },
    ],
  },
};

export default entry;
