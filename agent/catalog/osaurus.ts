import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "osaurus",
  name: "Osaurus",
  kind: "inference-engine",
  ports: [1337],
  names: ["osaurus"],
  binaries: ["/Osaurus\\.app/Contents/"],
  traits: [
    { path: "/", body: "^Osaurus is running", weight: "identity", says: "it says that Osaurus is running" },
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
        source: "documented: docs.osaurus.ai/api",
        answers: {
          "/": { body: "Osaurus is running! 🦕" },
          "/v1/models": {
            body: { object: "list", data: [{ id: "m", object: "model", owned_by: "osaurus" }] },
          },
        },
      },
    ],
    negative: [
      {
        source: "documented: praetorian-inc/julius probe for Jan, another product on the same port",
        answers: { "/openapi.json": { body: { info: { title: "Jan API Server Endpoints" } } } },
      },
      { source: "documented: ollama docs/api.md", answers: { "/": { body: "Ollama is running" } } },
    ],
  },
};

export default entry;
