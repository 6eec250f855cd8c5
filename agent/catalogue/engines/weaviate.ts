import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "weaviate",
  name: "Weaviate",
  kind: "vector-db",
  ports: [8080],
  names: ["weaviate"],
  traits: [
    {
      path: "/v1/meta",
      json: { hostname: { matches: "^http" }, version: { is: "string" }, modules: { is: "present" } },
      weight: "strong",
      says: "Weaviate's metadata",
    },
  ],
  version: [{ path: "/v1/meta", at: "version" }],
  sources: ["https://docs.weaviate.io/"],
  fixtures: {
    positive: [
      {
        source: "code: weaviate/weaviate v1.35.2 adapters/handlers/rest/handlers_misc.go (GET /v1/meta)",
        answers: {
          "/v1/meta": {
            body: {
              grpcMaxMessageSize: 10485760,
              hostname: "http://[::]:8080",
              modules: {},
              version: "1.33.0",
            },
          },
        },
      },
    ],
    negative: [
      {
        source: "made up: a metadata response of another service",
        answers: { "/v1/meta": { body: { version: "1.0" } } },
      },
    ],
  },
};

export default entry;
