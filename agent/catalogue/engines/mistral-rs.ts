import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "mistral-rs",
  name: "mistral.rs",
  kind: "inference-engine",
  ports: [1234, 8080],
  names: ["mistralrs", "mistralrs-server", "mistralrs-bench"],
  commands: ["(?:^|/)mistralrs(?:-server)?(?:\\.exe)? (?:serve\\b|.*(?:--port|plain|gguf|run)\\b)"],
  traits: [
    {
      path: "/api-doc/openapi.json",
      json: { "info.title": { matches: "^Mistral\\.rs$" } },
      weight: "identity",
      says: "the API description is titled Mistral.rs",
    },
  ],
  version: [{ path: "/api-doc/openapi.json", at: "info.version" }],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: true }],
  openai: true,
  directories: [{ path: "~/.cache/huggingface/hub", layout: "huggingface" }],
  sources: ["https://github.com/EricLBuehler/mistral.rs"],
  fixtures: {
    positive: [
      {
        source:
          "code: EricLBuehler/mistral.rs v0.9.2 mistralrs-server-core/src/openapi_doc.rs, mistralrs_server_router_builder.rs",
        answers: {
          "/api-doc/openapi.json": {
            body: {
              openapi: "3.1.0",
              info: { title: "Mistral.rs", license: { name: "MIT" }, version: "0.6.0" },
              paths: {},
            },
          },
          "/v1/models": {
            body: {
              object: "list",
              data: [{ id: "default", object: "model", created: 1700000000, owned_by: "local" }],
            },
          },
        },
      },
      {
        source: "code: EricLBuehler/mistral.rs v0.9.2 mistralrs-cli/Cargo.toml (mistralrs)",
        process: {
          executable: "/home/ada/.cargo/bin/mistralrs",
          argv: ["mistralrs", "serve", "-m", "m"],
        },
      },
    ],
    negative: [
      {
        source: "documented: another utoipa service",
        answers: {
          "/api-doc/openapi.json": {
            body: { openapi: "3.1.0", info: { title: "Hello World API", version: "1.0.0" } },
          },
        },
      },
    ],
  },
};

export default entry;
