import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "bifrost",
  name: "Bifrost",
  kind: "gateway",
  ports: [8080],
  names: ["bifrost-http", "bifrost"],
  runsOn: ["node"],
  commands: ["/@maximhq/bifrost/"],
  traits: [
    {
      path: "/api/config",
      json: { is_db_connected: { is: "boolean" }, is_logs_connected: { is: "boolean" } },
      weight: "strong",
      says: "Bifrost's configuration",
    },
    { path: "/", body: "<title>Bifrost - ", weight: "identity", says: "the page is titled Bifrost" },
  ],
  openai: true,
  sources: ["https://docs.getbifrost.ai/"],
  fixtures: {
    positive: [
      {
        source: "code: maximhq/bifrost transports/bifrost-http/handlers/config.go (getConfig)",
        answers: {
          "/": {
            body: "<!doctype html><html><head><title>Bifrost - The fastest LLM gateway</title></head><body></body></html>",
          },
          "/api/config": {
            body: {
              client_config: { log_level: "info" },
              framework_config: {},
              is_db_connected: true,
              is_cache_connected: false,
              is_logs_connected: true,
            },
          },
        },
      },
    ],
    negative: [
      {
        source: "documented: LibreChat api/server/routes/config.js",
        answers: { "/api/config": { body: { appTitle: "LibreChat" } } },
      },
    ],
  },
};

export default entry;
