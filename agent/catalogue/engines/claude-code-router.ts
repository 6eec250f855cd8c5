import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "claude-code-router",
  name: "Claude Code Router",
  kind: "gateway",
  ports: [3456],
  names: ["claude-code-router"],
  runsOn: ["node"],
  commands: [
    "/@musistudio/claude-code-router/",
    "node(?: -\\S+)* \\S*/\\.?bin/ccr (?:start|serve|restart|ui)\\b",
  ],
  traits: [
    {
      path: "/",
      json: { message: { matches: "^LLMs API$" }, version: { is: "string" } },
      weight: "strong",
      says: "its name is LLMs API",
    },
    { path: "/ui/", body: "<title>CCR UI</title>", weight: "identity", says: "the page is titled CCR UI" },
  ],
  sources: ["https://github.com/musistudio/claude-code-router"],
  fixtures: {
    positive: [
      {
        source: "recorded from @musistudio/claude-code-router 2.0.0 (npm)",
        answers: {
          "/": { body: { message: "LLMs API", version: "1.0.51" } },
          "/ui/": {
            body: '<!doctype html>\n<html lang="en">\n  <head>\n    <meta charset="UTF-8" />\n    <meta name="viewport" content="width=device-width, initial-scale=1.0" />\n    <title>CCR UI</title>\n    <script type="module" ',
          },
          "/health": { body: { status: "ok", timestamp: "2026-11-27T10:09:50.231Z" } },
          "/v1/models": {
            status: 404,
            body: { message: "Route GET:/v1/models not found", error: "Not Found", statusCode: 404 },
          },
        },
        process: { executable: "/usr/bin/node", argv: ["node", "/usr/lib/node_modules/.bin/ccr", "start"] },
      },
    ],
    negative: [
      {
        source: "made up: another API that returns a greeting",
        answers: { "/": { body: { message: "Orders API", version: "1.0.51" } } },
      },
      {
        source: "made up: another page under /ui/",
        answers: { "/ui/": { body: "<!doctype html><html><head><title>Dashboard</title></head></html>" } },
      },
      {
        source: "made up: another program named ccr",
        process: { executable: "/usr/bin/ccr", argv: ["ccr", "start"] },
      },
    ],
  },
};

export default entry;
