import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "github-copilot",
  name: "GitHub Copilot",
  kind: "coding-agent",
  ports: [],
  names: ["copilot", "copilot-language-server", "copilot-agent-linux"],
  runsOn: ["node"],
  binaries: ["/@github/copilot(?:-language-server)?[^/]*/", "/extensions/github\\.copilot(?:-chat)?-"],
  commands: ["/@github/copilot(?:-language-server)?/", "/extensions/github\\.copilot(?:-chat)?-"],
  traits: [],
  sources: ["https://docs.github.com/copilot"],
  fixtures: {
    positive: [
      {
        source: "recorded from @github/copilot 1.0.102 (npm): the program of its platform package",
        process: {
          executable: "/usr/lib/node_modules/@github/copilot-linux-x64/copilot",
          argv: ["/usr/lib/node_modules/@github/copilot-linux-x64/copilot"],
        },
      },
      {
        source: "documented: docs.github.com/copilot, npm package @github/copilot",
        process: {
          executable: "/usr/bin/node",
          argv: ["node", "/usr/lib/node_modules/@github/copilot/index.js"],
        },
      },
      {
        source: "documented: npm package @github/copilot-language-server",
        process: {
          executable:
            "/home/ada/.local/share/nvim/copilot/node_modules/@github/copilot-language-server-linux-x64/copilot-language-server",
          argv: ["copilot-language-server", "--stdio"],
        },
      },
    ],
    negative: [
      {
        source: "documented: AWS Copilot, another program of that name",
        process: { executable: "/usr/local/bin/copilot", argv: ["copilot", "svc", "deploy"] },
      },
      {
        source: "made up: any Node program",
        process: { executable: "/usr/bin/node", argv: ["node", "/srv/app/server.js"] },
      },
    ],
  },
};

export default entry;
