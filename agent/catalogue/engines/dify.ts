import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "dify",
  name: "Dify",
  kind: "agent-builder",
  ports: [80, 3000, 5001],
  names: [],
  runsOn: ["python", "node"],
  traits: [
    {
      path: "/apps",
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
        source:
          "code: langgenius/dify 0055b98 web/next.config.ts (/ leads to /apps), 692eacf web/types/feature.ts (DatasetAttr), 02abf95 api/controllers/console/setup.py",
        answers: {
          "/": { status: 307, headers: { location: "/apps" } },
          "/apps": { body: '<html lang="en-US"><body data-public-edition="SELF_HOSTED" class="h-full">' },
          "/console/api/setup": { body: { step: "finished", setup_at: "2025-05-01T10:00:00" } },
        },
      },
    ],
    negative: [
      {
        source: "made up: a page about other apps",
        answers: { "/apps": { body: "<!doctype html><html><head><title>Apps</title></head></html>" } },
      },
      {
        source: "made up: a setup status response of another service",
        answers: { "/console/api/setup": { body: { done: true } } },
      },
    ],
  },
};

export default entry;
