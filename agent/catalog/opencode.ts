import type { CatalogEntry } from "./entry.ts";

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
    {
      path: "/doc",
      json: { "info.title": { matches: "^opencode" } },
      weight: "identity",
      says: "the API description is titled opencode",
    },
  ],
  sources: ["https://opencode.ai/docs/server/"],
  fixtures: {
    positive: [
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
        source: "made up: another description",
        answers: {
          "/doc": { body: { openapi: "3.1.0", info: { title: "My API", version: "1.0.0" }, paths: {} } },
        },
      },
    ],
  },
};

export default entry;
