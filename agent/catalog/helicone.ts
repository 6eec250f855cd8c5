import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "helicone",
  name: "Helicone",
  kind: "gateway",
  ports: [8585, 3000],
  names: [],
  runsOn: ["node"],
  traits: [
    { path: "/healthcheck", body: '"?healthy :\\)', weight: "strong", says: "Helicone's health answer" },
  ],
  sources: ["https://docs.helicone.ai/getting-started/self-host/docker"],
  fixtures: {
    positive: [
      {
        source: "documented: praetorian-inc/julius probe for Helicone (GET /healthcheck)",
        answers: { "/healthcheck": { body: { status: "healthy :)" } } },
      },
    ],
    negative: [
      { source: "made up: a health answer", answers: { "/healthcheck": { body: { status: "healthy" } } } },
    ],
  },
};

export default entry;
