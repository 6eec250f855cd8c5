import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "openclaw",
  name: "OpenClaw",
  kind: "agent",
  ports: [18789],
  names: ["openclaw", "openclaw-gateway", "clawdbot", "moltbot"],
  runsOn: ["node"],
  binaries: ["/OpenClaw\\.app/Contents/"],
  commands: ["/node_modules/(?:openclaw|clawdbot|moltbot)/", "^(?:openclaw|clawdbot|moltbot)-gateway\\b"],
  traits: [
    {
      path: "/",
      body: "<title>(?:OpenClaw|Moltbot|Clawdbot) Control",
      weight: "identity",
      says: "the page is titled OpenClaw Control",
    },
  ],
  sources: ["https://docs.openclaw.ai/"],
  fixtures: {
    positive: [
      {
        source: "code: openclaw 2026.9.6 (npm) dist/control-ui/index.html",
        answers: {
          "/": {
            body: "<!doctype html><html><head><title>OpenClaw Control</title></head><body></body></html>",
          },
        },
      },
      {
        source: "documented: openclaw/openclaw docs, gateway service",
        process: {
          executable: "/usr/bin/node",
          argv: [
            "node",
            "/home/ada/.npm-global/lib/node_modules/openclaw/dist/index.js",
            "gateway",
            "--port",
            "18789",
          ],
        },
      },
    ],
    negative: [
      {
        source: "made up: an ordinary page",
        answers: {
          "/": {
            body: "<!doctype html><html><head><title>My application</title></head><body></body></html>",
          },
        },
      },
      {
        source: "made up: any Node program",
        process: { executable: "/usr/bin/node", argv: ["node", "/srv/app/server.js"] },
      },
    ],
  },
};

export default entry;
