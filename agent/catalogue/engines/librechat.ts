import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "librechat",
  name: "LibreChat",
  kind: "ui",
  ports: [3080],
  names: [],
  runsOn: ["node"],
  commands: ["/LibreChat[^/ ]*/api/server/index\\.js"],
  traits: [
    { path: "/", body: "<title>LibreChat", weight: "identity", says: "the page is titled LibreChat" },
    {
      path: "/api/config",
      json: {
        appTitle: { is: "string" },
        socialLogins: { is: "array" },
        registrationEnabled: { is: "boolean" },
      },
      weight: "strong",
      says: "LibreChat's configuration",
    },
  ],
  sources: ["https://www.librechat.ai/docs"],
  fixtures: {
    positive: [
      {
        source:
          "code: danny-avila/LibreChat 00450b5 api/server/routes/config.js (buildPreLoginPayload), client/index.html",
        answers: {
          "/": { body: "<!doctype html><html><head><title>LibreChat</title></head><body></body></html>" },
          "/api/config": {
            body: {
              appTitle: "LibreChat",
              socialLogins: ["google"],
              discordLoginEnabled: false,
              registrationEnabled: true,
              emailLoginEnabled: true,
              serverDomain: "http://localhost:3080",
            },
          },
        },
      },
      {
        source: "code: danny-avila/LibreChat 58d63f6 api/server/index.js",
        process: {
          executable: "/usr/bin/node",
          argv: ["node", "/opt/LibreChat/api/server/index.js"],
        },
      },
    ],
    negative: [
      {
        source: "documented: Open WebUI get_app_config",
        answers: {
          "/api/config": {
            body: { status: true, name: "Open WebUI", version: "0.6.34", features: { auth: true } },
          },
        },
      },
    ],
  },
};

export default entry;
