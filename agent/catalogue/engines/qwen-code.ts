import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "qwen-code",
  name: "Qwen Code",
  kind: "coding-agent",
  ports: [],
  names: ["qwen"],
  runsOn: ["node"],
  commands: ["/@qwen-code/qwen-code/", "(?:^|/)node(?: -\\S+)* \\S*/\\.?bin/qwen(?: |$)"],
  traits: [],
  sources: ["https://github.com/QwenLM/qwen-code"],
  fixtures: {
    positive: [
      {
        source: "recorded from @qwen-code/qwen-code 0.15.10 (npm): run through the link that npm makes",
        process: { executable: "/usr/bin/node", argv: ["node", "/usr/bin/qwen"] },
      },
      {
        source: "documented: github.com/QwenLM/qwen-code, npm package",
        process: {
          executable: "/usr/bin/node",
          argv: ["node", "/usr/lib/node_modules/@qwen-code/qwen-code/cli.js"],
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
