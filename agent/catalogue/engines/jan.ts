import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "jan",
  name: "Jan",
  kind: "inference-app",
  ports: [1337],
  names: ["jan", "jan-*.appimage", "jan_*.appimage"],
  binaries: ["/Jan\\.app/Contents/", "/Programs/jan/", "/Jan/data/(?:llamacpp|engines)/"],
  traits: [
    {
      path: "/openapi.json",
      json: { "info.title": { matches: "^Jan API" } },
      weight: "identity",
      says: "the API description is titled Jan API",
    },
  ],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: false }],
  openai: true,
  impersonates: ["llama-cpp"],
  absorbs: ["llama-cpp", "cortex-cpp", "unknown-weights", "openai-compatible"],
  directories: [
    { path: "~/jan/models", layout: "files" },
    { path: "~/.local/share/Jan/data/llamacpp/models", layout: "files" },
    { path: "~/Library/Application Support/Jan/data/llamacpp/models", layout: "files" },
    { path: "~/AppData/Roaming/Jan/data/llamacpp/models", layout: "files" },
    // Directories of earlier versions of Jan.
    { path: "~/.local/share/Jan/data/models", layout: "files" },
    { path: "~/Library/Application Support/Jan/data/models", layout: "files" },
    { path: "~/AppData/Roaming/Jan/data/models", layout: "files" },
  ],
  sources: [
    "https://jan.ai/docs/api-server",
    "https://docs.rs/crate/modelshelf/latest/source/src/scan/jan.rs",
  ],
  fixtures: {
    positive: [
      {
        source:
          "code: janhq/jan 2a0abe7 src-tauri/static/openapi.json, which its server returns at /openapi.json",
        answers: {
          "/openapi.json": {
            body: {
              openapi: "3.0.0",
              info: { title: "Jan API Server Endpoints", version: "1.0" },
              paths: {},
            },
          },
          "/v1/models": { body: { object: "list", data: [{ id: "llama3.2-1b", object: "model" }] } },
        },
      },
    ],
    negative: [
      {
        source: "documented: docs.osaurus.ai/api, another product on the same port",
        answers: {
          "/": { body: "Osaurus is running" },
          "/v1/models": {
            body: { object: "list", data: [{ id: "m", object: "model", owned_by: "osaurus" }] },
          },
        },
      },
    ],
  },
};

export default entry;
