import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "helicone",
  name: "Helicone",
  kind: "gateway",
  ports: [8585, 3000],
  names: [],
  runsOn: ["node"],
  traits: [
    {
      path: "/healthcheck",
      headers: { "x-powered-by": "^Express$" },
      json: { status: { matches: "^healthy :\\)$" } },
      weight: "strong",
      says: "the health answer of Helicone's API server",
    },
  ],
  sources: ["https://docs.helicone.ai/getting-started/self-host/docker"],
  fixtures: {
    positive: [
      {
        source: "code: Helicone/helicone 02d763c valhalla/jawn/src/index.ts (GET /healthcheck, Express)",
        answers: {
          "/healthcheck": { headers: { "x-powered-by": "Express" }, body: { status: "healthy :)" } },
        },
      },
    ],
    negative: [
      {
        source: "made up: a health response of another service",
        answers: { "/healthcheck": { body: { status: "healthy" } } },
      },
      {
        source: "made up: a friendly health response of another service",
        answers: { "/healthcheck": { body: "I'm happy and healthy :)\n" } },
      },
    ],
  },
};

export default entry;
