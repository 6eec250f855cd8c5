import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "chroma",
  name: "Chroma",
  kind: "vector-db",
  ports: [8000],
  names: ["chroma", "chromadb"],
  runsOn: ["python"],
  commands: ["(?:^|[/ ])chroma run\\b"],
  traits: [
    {
      path: "/api/v2/heartbeat",
      json: { "nanosecond heartbeat": { is: "number" } },
      weight: "strong",
      says: "Chroma's heartbeat",
    },
    {
      path: "/api/v1/heartbeat",
      json: { "nanosecond heartbeat": { is: "number" } },
      weight: "strong",
      says: "Chroma's heartbeat",
    },
  ],
  sources: ["https://docs.trychroma.com/"],
  fixtures: {
    positive: [
      {
        source: "documented: docs.trychroma.com reference (GET /api/v2/heartbeat)",
        answers: {
          "/api/v2/heartbeat": { body: { "nanosecond heartbeat": 1763762400000000000 } },
          "/api/v1/heartbeat": { body: { "nanosecond heartbeat": 1763762400000000000 } },
          "/api/v2/version": { body: '"1.3.0"' },
        },
      },
    ],
    negative: [{ source: "made up: a heartbeat", answers: { "/api/v2/heartbeat": { body: { ok: true } } } }],
  },
};

export default entry;
