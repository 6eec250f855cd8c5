import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "invokeai",
  name: "InvokeAI",
  kind: "image",
  ports: [9090],
  names: ["invokeai-web", "invokeai"],
  runsOn: ["python"],
  commands: ["(?:^|/)invokeai-web\\b.*--root"],
  traits: [
    { path: "/", body: "<title>Invoke(?:AI| - )", weight: "identity", says: "the page is that of Invoke" },
    {
      path: "/openapi.json",
      json: { "info.title": { matches: "^Invoke - Community Edition" } },
      weight: "identity",
      says: "the API description is Invoke's",
    },
  ],
  version: [{ path: "/api/v1/app/version", at: "version" }],
  directories: [{ path: "~/invokeai/models", layout: "files" }],
  sources: ["https://github.com/invoke-ai/InvokeAI"],
  fixtures: {
    positive: [
      {
        source:
          "code: InvokeAI 6.14.2 (PyPI) frontend/web/dist/index.html, app/api_app.py (FastAPI title), routers/app_info.py",
        answers: {
          "/": {
            body: "<!doctype html><html><head><title>Invoke - Community Edition</title></head><body></body></html>",
          },
          "/openapi.json": {
            body: {
              openapi: "3.1.0",
              info: { title: "Invoke - Community Edition", version: "1.0.0" },
              paths: {},
            },
          },
          "/api/v1/app/version": { body: { version: "6.9.0", highlights: null } },
        },
      },
      {
        source: "code: InvokeAI 6.14.2 (PyPI) entry_points.txt, frontend/cli/arg_parser.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/invokeai-web", "--root", "/srv/invoke"],
        },
      },
    ],
    negative: [
      {
        source: "made up: a page about invoking",
        answers: {
          "/": {
            body: "<!doctype html><html><head><title>Invoke a function</title></head><body></body></html>",
          },
        },
      },
    ],
  },
};

export default entry;
