import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "continue",
  name: "Continue",
  kind: "coding-agent",
  ports: [],
  names: ["cn"],
  runsOn: ["node"],
  binaries: ["/extensions/continue\\.continue-"],
  commands: [
    "/@continuedev/cli/",
    // The name `cn` is short, so it counts only in a directory where npm creates command links.
    "(?:/node_modules/\\.bin|(?:/usr|/usr/local|/homebrew|/\\.npm-global|/versions/node/[^/ ]+)/bin)/cn(?: |$)",
  ],
  traits: [],
  sources: ["https://docs.continue.dev/"],
  fixtures: {
    positive: [
      {
        source: "code: @continuedev/cli 1.5.47 (npm), what the link in bin runs",
        process: { executable: "/usr/bin/node", argv: ["node", "/usr/bin/cn"] },
      },
      {
        source: "documented: docs.continue.dev, npm package @continuedev/cli",
        process: {
          executable: "/usr/bin/node",
          argv: ["node", "/usr/lib/node_modules/@continuedev/cli/dist/cn.js"],
        },
      },
      {
        source: "documented: docs.continue.dev, VS Code extension core",
        process: {
          executable: "/home/ada/.vscode/extensions/continue.continue-1.2.0-linux-x64/bin/continue-binary",
        },
      },
      {
        source: "recorded from @continuedev/cli 1.5.47 (npm): run through the link that npm makes",
        process: { executable: "/usr/bin/node", argv: ["node", "/srv/app/node_modules/.bin/cn"] },
      },
    ],
    negative: [
      {
        source: "made up: a script written by a user",
        process: { executable: "/usr/bin/node", argv: ["node", "/srv/tools/bin/cn"] },
      },
      {
        source: "made up: any Node program",
        process: { executable: "/usr/bin/node", argv: ["node", "/srv/app/server.js"] },
      },
    ],
  },
};

export default entry;
