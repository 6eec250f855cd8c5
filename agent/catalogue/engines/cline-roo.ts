import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "cline-roo",
  name: "Cline and Roo Code",
  kind: "coding-agent",
  ports: [],
  names: ["cline"],
  runsOn: ["node"],
  binaries: ["/@cline/cli[^/]*/", "/extensions/(?:saoudrizwan\\.claude-dev|rooveterinaryinc\\.roo-cline)-"],
  commands: [
    "/node_modules/cline/",
    "/extensions/(?:saoudrizwan\\.claude-dev|rooveterinaryinc\\.roo-cline)-",
  ],
  traits: [],
  sources: ["https://docs.cline.bot/"],
  fixtures: {
    positive: [
      {
        source: "recorded from cline 3.0.65 (npm): the program of its platform package",
        process: {
          executable: "/usr/lib/node_modules/cline/node_modules/@cline/cli-linux-x64/bin/cline",
          argv: ["/usr/bin/cline"],
        },
      },
      {
        source: "documented: cline.bot, npm package cline",
        process: { executable: "/usr/bin/node", argv: ["node", "/usr/lib/node_modules/cline/cline-core.js"] },
      },
      {
        source: "documented: VS Code extension saoudrizwan.claude-dev",
        process: {
          executable: "/usr/bin/node",
          argv: ["node", "/home/ada/.vscode/extensions/saoudrizwan.claude-dev-3.35.0/dist/server.js"],
        },
      },
    ],
    negative: [
      {
        source: "made up: any Node program",
        process: { executable: "/usr/bin/node", argv: ["node", "/srv/app/server.js"] },
      },
    ],
  },
};

export default entry;
