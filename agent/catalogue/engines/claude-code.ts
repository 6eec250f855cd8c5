import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "claude-code",
  name: "Claude Code",
  kind: "coding-agent",
  ports: [],
  names: ["claude"],
  runsOn: ["node"],
  binaries: ["/\\.local/share/claude/versions/", "/@anthropic-ai/claude-code/", "/Claude/claude-code/"],
  commands: ["/@anthropic-ai/claude-code/"],
  traits: [],
  sources: ["https://docs.claude.com/en/docs/claude-code/setup"],
  fixtures: {
    positive: [
      {
        source: "code: @anthropic-ai/claude-code 2.1.197 (npm), what the link in bin points to",
        process: {
          executable: "/usr/lib/node_modules/@anthropic-ai/claude-code/bin/claude.exe",
          argv: ["claude"],
        },
      },
      {
        source: "documented: docs.claude.com, npm package @anthropic-ai/claude-code",
        process: {
          executable: "/usr/bin/node",
          argv: ["node", "/usr/lib/node_modules/@anthropic-ai/claude-code/cli.js"],
        },
      },
      {
        source: "documented: docs.claude.com, native installer (versions below ~/.local/share/claude)",
        process: { executable: "/home/ada/.local/share/claude/versions/2.0.31", argv: ["claude"] },
      },
      {
        source: "recorded from @anthropic-ai/claude-code 2.1.197 (npm): run through the link that npm makes",
        process: {
          executable: "/usr/lib/node_modules/@anthropic-ai/claude-code/bin/claude.exe",
          argv: ["/usr/lib/node_modules/.bin/claude"],
        },
      },
    ],
    negative: [
      { source: "made up: any program named claude", process: { executable: "/usr/bin/claude" } },
      {
        source: "made up: any Node program",
        process: { executable: "/usr/bin/node", argv: ["node", "/srv/app/server.js"] },
      },
    ],
  },
};

export default entry;
