import type { CatalogEntry } from "../entry.ts";

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
    {
      path: "/api/config",
      json: { is_db_connected: { is: "boolean" }, "client_config.drop_excess_requests": { is: "boolean" } },
      weight: "strong",
      says: "Bifrost's client configuration",
    },
    {
      path: "/",
      body: "<title>Bifrost(?: - |</title>[^]*//getbifrost\\.ai)",
      weight: "identity",
      says: "the page is titled Bifrost",
    },
  ],
  openai: true,
  sources: ["https://docs.getbifrost.ai/"],
  fixtures: {
    positive: [
      {
        source:
          "code: maximhq/bifrost 01acba3 transports/bifrost-http/handlers/config.go (getConfig), 0b626d3 ui/app/layout.tsx (title)",
        answers: {
          "/": {
            body: "<!doctype html><html><head><title>Bifrost - The fastest LLM gateway</title></head><body></body></html>",
          },
          "/api/config": {
            body: {
              client_config: { drop_excess_requests: false, initial_pool_size: 300 },
              framework_config: {},
              is_db_connected: true,
              is_cache_connected: false,
              is_logs_connected: true,
            },
          },
        },
      },
      {
        source: "code: maximhq/bifrost 5fdee38 ui/index.html, with a sign-in",
        answers: {
          "/": {
            body: '<!doctype html>\n<html lang="en" suppressHydrationWarning>\n\t<head>\n\t\t<title>Bifrost</title>\n\t\t<link rel="dns-prefetch" href="https://getbifrost.ai" />',
          },
          "/api/config": { status: 401, body: { error: { message: "Unauthorized" } } },
        },
      },
    ],
    negative: [
      {
        source: "made up: another program with the same name",
        answers: { "/": { body: "<!doctype html><html><head><title>Bifrost</title></head></html>" } },
      },
      {
        source: "documented: LibreChat api/server/routes/config.js",
        answers: { "/api/config": { body: { appTitle: "LibreChat" } } },
      },
    ],
  },
};

export default entry;
