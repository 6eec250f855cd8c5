import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "codex-cli",
  name: "OpenAI Codex CLI",
  kind: "coding-agent",
  ports: [],
  names: ["codex"],
  runsOn: ["node"],
  binaries: ["/@openai/codex[^/]*/", "/Caskroom/codex/"],
  commands: ["/@openai/codex/"],
  traits: [],
  sources: ["https://github.com/openai/codex"],
  fixtures: {
    positive: [
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
      { source: "made up: any program called codex", process: { executable: "/usr/bin/codex" } },
      {
        source: "made up: any Node program",
        process: { executable: "/usr/bin/node", argv: ["node", "/srv/app/server.js"] },
      },
    ],
  },
};

export default entry;
