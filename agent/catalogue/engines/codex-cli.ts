import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "codex-cli",
  name: "OpenAI Codex CLI",
  kind: "coding-agent",
  ports: [],
  names: ["codex"],
  runsOn: ["node"],
  binaries: ["/@openai/codex[^/]*/", "/\\.codex/packages/[^/]+/releases/", "/Caskroom/codex/"],
  commands: ["/@openai/codex/", "(?:^|/)node(?: -\\S+)* \\S*/\\.?bin/codex(?: |$)"],
  traits: [],
  sources: ["https://github.com/openai/codex"],
  fixtures: {
    positive: [
      {
        source: "recorded from @openai/codex 0.169.0 (npm): its launcher",
        process: { executable: "/usr/bin/node", argv: ["node", "/usr/bin/codex"] },
      },
      {
        source: "recorded from @openai/codex 0.169.0 (npm): the server it leaves behind",
        process: {
          executable:
            "/home/ada/.codex/packages/app-server-daemon/releases/0.169.0-x86_64-unknown-linux-musl/bin/codex",
          argv: ["codex", "app-server"],
        },
      },
      {
        source: "documented: github.com/openai/codex, npm package @openai/codex",
        process: {
          executable: "/usr/lib/node_modules/@openai/codex/vendor/x86_64-unknown-linux-musl/codex/codex",
          argv: ["codex"],
        },
      },
      {
        source: "documented: the same, its launcher",
        process: {
          executable: "/usr/bin/node",
          argv: ["node", "/usr/lib/node_modules/@openai/codex/bin/codex.js"],
        },
      },
    ],
    negative: [
      { source: "made up: any program named codex", process: { executable: "/usr/bin/codex" } },
      {
        source: "made up: any Node program",
        process: { executable: "/usr/bin/node", argv: ["node", "/srv/app/server.js"] },
      },
    ],
  },
};

export default entry;
