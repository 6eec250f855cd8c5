import type { CatalogEntry } from "../entry.ts";

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
      {
        source: "recorded from openclaw 2026.9.6 (npm), its gateway behind a token",
        answers: {
          "/": {
            body: '<!doctype html>\n<html data-openclaw-control-ui-base-path="" data-openclaw-terminal-enabled="true" data-openclaw-control-ui-build-id="2026.9.6-release-eb377ac59e6c-2026-09-23T16-33-12.144Z-314f5d487e3c5ae6aed7f2edbb68f93f274b3d7ca0e9fdca8f6e8f654f92c54c" lang="en">\n  <head>\n    <meta charset="UTF-8" />\n    <meta\n      name="viewport"\n      content="width=device-width, initial-scale=1.0, viewport-fit=cover, interactive-widget=resizes-content"\n    />\n    <title>OpenClaw Control</title>\n    <meta name="color-scheme" content="dark light" />\n    <!-- These mirror the claw theme\'s --bg tokens for first paint; runtime theme application keeps them synchronized. -->\n    <meta name="theme-color" media=',
          },
          "/v1/models": {
            status: 404,
            headers: { "content-type": "text/plain; charset=utf-8" },
            body: "Not Found",
          },
          "/health": { body: { ok: true, status: "live" } },
        },
        process: { executable: "/usr/bin/node", argv: ["openclaw-gateway"] },
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
