import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "opencode",
  name: "OpenCode",
  kind: "coding-agent",
  ports: [4096],
  names: ["opencode"],
  runsOn: ["node"],
  binaries: ["/\\.opencode/bin/opencode", "/node_modules/opencode-[a-z0-9-]+/bin/opencode"],
  commands: ["/node_modules/opencode-ai/"],
  traits: [
    { path: "/", body: "<title>OpenCode</title>", weight: "identity", says: "the page is titled OpenCode" },
    {
      path: "/site.webmanifest",
      json: { name: { matches: "^OpenCode$" } },
      weight: "identity",
      says: "its web manifest names OpenCode",
    },
    {
      path: "/doc",
      json: { "info.title": { matches: "^opencode" } },
      weight: "identity",
      says: "the API description is titled opencode",
    },
  ],
  version: [{ path: "/global/health", at: "version" }],
  sources: ["https://opencode.ai/docs/server/"],
  fixtures: {
    positive: [
      {
        source: "recorded from OpenCode 1.18.33 (opencode serve); every unknown path is the page",
        answers: {
          "/": {
            body: '<!doctype html>\n<html lang="en">\n  <head>\n    <meta charset="utf-8" />\n    <title>OpenCode</title>',
          },
          "/doc": {
            body: '{"openapi":"3.1.0","info":{"title":"opencode","version":"1.0.0","description":"opencode api"},"paths":{"/auth/{providerID}":{"put":{"tags":["control"],"operat',
          },
          "/global/health": { body: { healthy: true, version: "1.18.33" } },
          "/site.webmanifest": { body: { name: "OpenCode", short_name: "OpenCode", id: "/" } },
        },
      },
      {
        source: "recorded from OpenCode 1.18.33 with OPENCODE_SERVER_PASSWORD",
        answers: {
          "/": { status: 401, headers: { "www-authenticate": 'Basic realm="Secure Area"' } },
          "/doc": { status: 401, headers: { "www-authenticate": 'Basic realm="Secure Area"' } },
          "/site.webmanifest": { body: { name: "OpenCode", short_name: "OpenCode", id: "/" } },
        },
      },
      {
        source: "recorded from opencode-ai 1.18.33 (npm), terminal",
        process: {
          executable: "/usr/lib/node_modules/opencode-ai/bin/opencode.exe",
          argv: ["/usr/lib/node_modules/.bin/opencode"],
        },
      },
      {
        source: "documented: sst/opencode packages/opencode/src/server/server.ts (GET /doc)",
        answers: {
          "/doc": {
            body: {
              openapi: "3.1.1",
              info: { title: "opencode", version: "0.0.3", description: "opencode api" },
              paths: {},
            },
          },
        },
      },
      {
        source: "documented: opencode.ai/docs installer",
        process: { executable: "/home/ada/.opencode/bin/opencode", argv: ["opencode"] },
      },
    ],
    negative: [
      {
        source: "made up: another API description",
        answers: {
          "/doc": { body: { openapi: "3.1.0", info: { title: "My API", version: "1.0.0" }, paths: {} } },
        },
      },
    ],
  },
};

export default entry;
