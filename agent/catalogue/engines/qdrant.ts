import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "qdrant",
  name: "Qdrant",
  kind: "vector-db",
  ports: [6333],
  names: ["qdrant"],
  traits: [
    {
      path: "/",
      json: { title: { matches: "^qdrant - vector search engine" } },
      weight: "identity",
      says: "its title is qdrant",
    },
  ],
  version: [{ path: "/", at: "version" }],
  sources: ["https://qdrant.tech/documentation/"],
  fixtures: {
    positive: [
      {
        source: "code: qdrant/qdrant v1.19.0 lib/api/src/rest/models.rs (VersionInfo, GET /)",
        answers: {
          "/": { body: { title: "qdrant - vector search engine", version: "1.15.5", commit: "x" } },
        },
      },
    ],
    negative: [
      {
        source: "made up: another search engine",
        answers: { "/": { body: { title: "search engine", version: "1" } } },
      },
    ],
  },
};

export default entry;
