import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "langflow",
  name: "Langflow",
  kind: "agent-builder",
  ports: [7860],
  names: ["langflow"],
  runsOn: ["python"],
  binaries: ["/Langflow\\.app/Contents/"],
  commands: ["(?:^|[/ ])langflow run\\b"],
  traits: [
    {
      path: "/api/v1/version",
      json: { package: { matches: "^Langflow" } },
      weight: "identity",
      says: "its version document names Langflow",
    },
    { path: "/", body: "<title>Langflow", weight: "identity", says: "the page is titled Langflow" },
  ],
  version: [{ path: "/api/v1/version", at: "version" }],
  sources: ["https://docs.langflow.org/api-reference-api-examples"],
  fixtures: {
    positive: [
      {
        source: "recorded from Langflow 1.13.0, with a password",
        answers: {
          "/": {
            body: '<!doctype html>\n<html lang="en">\n  <head>\n    <base href="/" />\n    <title>Langflow</title>',
          },
          "/api/v1/version": {
            body: { version: "1.13.0", main_version: "1.13.0", package: "Langflow" },
          },
          "/api/v1/models": { status: 403, body: { detail: "No authentication credentials provided" } },
        },
      },
      {
        source: "documented: docs.langflow.org API examples (GET /api/v1/version)",
        answers: {
          "/": { body: "<!doctype html><html><head><title>Langflow</title></head><body></body></html>" },
          "/api/v1/version": { body: { version: "1.1.1", main_version: "1.1.1", package: "Langflow" } },
        },
      },
      {
        source: "code: langflow-base 1.13.0 (PyPI) entry_points.txt, __main__.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/langflow", "run", "--port", "7860"],
        },
      },
    ],
    negative: [
      {
        source: "documented: Flowise version document",
        answers: { "/api/v1/version": { body: { version: "3.0.8" } } },
      },
    ],
  },
};

export default entry;
