import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "osaurus",
  name: "Osaurus",
  kind: "inference-engine",
  ports: [1337],
  names: ["osaurus"],
  binaries: ["/Osaurus\\.app/Contents/"],
  traits: [
    {
      path: "/",
      body: "^Osaurus (?:Server )?is running",
      weight: "identity",
      says: "it says that Osaurus is running",
    },
    {
      path: "/v1/models",
      json: { "data[].owned_by": { matches: "^osaurus$" } },
      weight: "identity",
      says: "its models are owned by osaurus",
    },
  ],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: false }],
  openai: true,
  impersonates: ["ollama"],
  directories: [{ path: "~/MLXModels", layout: "files" }],
  sources: ["https://docs.osaurus.ai/api"],
  fixtures: {
    positive: [
      {
        source:
          "code: osaurus-ai/osaurus 0.14.28 OsaurusCore/Networking/HTTPHandler.swift, Models/API/OpenAIAPI.swift",
        answers: {
          "/": { body: "Osaurus Server is running! 🦕" },
          "/v1/models": {
            body: { object: "list", data: [{ id: "m", object: "model", owned_by: "osaurus" }] },
          },
        },
      },
    ],
    negative: [
      {
        source: "code: janhq/jan 2a0abe7 src-tauri/static/openapi.json, another product on the same port",
        answers: { "/openapi.json": { body: { info: { title: "Jan API Server Endpoints" } } } },
      },
      { source: "documented: ollama docs/api.md", answers: { "/": { body: "Ollama is running" } } },
    ],
  },
};

export default entry;
