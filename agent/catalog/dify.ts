import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "dify",
  name: "Dify",
  kind: "agent-builder",
  ports: [80, 3000, 5001],
  names: [],
  runsOn: ["python", "node"],
  traits: [
    {
      path: "/",
      body: "<title>[^<]*\\bDify\\b|data-public-edition=",
      weight: "identity",
      says: "the page is that of Dify",
    },
    {
      path: "/console/api/setup",
      json: { step: { matches: "^(?:not_started|finished)$" }, setup_at: { is: "present" } },
      weight: "strong",
      says: "Dify's setup state",
    },
  ],
  sources: ["https://docs.dify.ai/"],
  fixtures: {
    positive: [
      {
        source: "documented: langgenius/dify web/app/layout.tsx and api/controllers/console/setup.py",
        answers: {
          "/": { body: '<html data-public-edition="SELF_HOSTED"><head><title>Dify</title>' },
          "/console/api/setup": { body: { step: "finished", setup_at: "2025-05-01T10:00:00" } },
        },
      },
    ],
    negative: [
      { source: "made up: a setup state", answers: { "/console/api/setup": { body: { done: true } } } },
    ],
  },
};

export default entry;
