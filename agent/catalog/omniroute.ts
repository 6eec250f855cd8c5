import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "omniroute",
  name: "OmniRoute",
  kind: "gateway",
  ports: [20128],
  names: ["omniroute"],
  runsOn: ["node"],
  commands: ["/node_modules/omniroute/"],
  traits: [
    {
      path: "/api/cache",
      json: { semanticCache: { is: "object" } },
      weight: "strong",
      says: "OmniRoute's cache document",
    },
  ],
  openai: true,
  sources: ["https://github.com/praetorian-inc/julius"],
  fixtures: {
    positive: [
      {
        source: "documented: praetorian-inc/julius probe for OmniRoute (GET /api/cache)",
        answers: { "/api/cache": { body: { semanticCache: { hits: 0, misses: 0 }, promptCache: {} } } },
      },
    ],
    negative: [{ source: "made up: a cache document", answers: { "/api/cache": { body: { size: 0 } } } }],
  },
};

export default entry;
