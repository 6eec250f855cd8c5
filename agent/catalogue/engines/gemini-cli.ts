import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "gemini-cli",
  name: "Gemini CLI",
  kind: "coding-agent",
  ports: [],
  names: ["gemini"],
  runsOn: ["node"],
  commands: ["/@google/gemini-cli/", "(?:^|/)node(?: -\\S+)* \\S*/\\.?bin/gemini(?: |$)"],
  traits: [],
  sources: ["https://github.com/google-gemini/gemini-cli"],
  fixtures: {
    positive: [
      {
        source: "recorded from @google/gemini-cli 0.61.0 (npm): run through the link that npm makes",
        process: {
          executable: "/usr/bin/node",
          argv: ["/usr/bin/node", "--max-old-space-size=12052", "/usr/bin/gemini"],
        },
      },
      {
        source: "documented: github.com/google-gemini/gemini-cli, npm package",
        process: {
          executable: "/usr/bin/node",
          argv: ["node", "/usr/lib/node_modules/@google/gemini-cli/dist/index.js"],
        },
      },
    ],
    negative: [
      {
        source: "made up: a browser for the Gemini protocol",
        process: { executable: "/usr/bin/gemini", argv: ["gemini"] },
      },
      {
        source: "made up: any Node program",
        process: { executable: "/usr/bin/node", argv: ["node", "/srv/app/server.js"] },
      },
    ],
  },
};

export default entry;
