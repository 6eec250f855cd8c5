import type { CatalogEntry } from "../entry.ts";

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
      path: "/",
      statuses: [200, 307, 401],
      headers: { "x-omniroute-route-class": "." },
      weight: "identity",
      says: "its answers carry OmniRoute's route class",
    },
    {
      path: "/manifest.webmanifest",
      json: { name: { matches: "^OmniRoute$" } },
      weight: "identity",
      says: "its web manifest names OmniRoute",
    },
  ],
  openai: true,
  sources: ["https://www.npmjs.com/package/omniroute"],
  fixtures: {
    positive: [
      {
        source: "recorded from OmniRoute 3.7.9 (npm, run by Bun), nothing configured",
        answers: {
          "/": {
            status: 307,
            headers: { location: "/dashboard", "x-omniroute-route-class": "MANAGEMENT" },
            body: "/dashboard",
          },
          "/v1/models": {
            headers: { "x-omniroute-route-class": "CLIENT" },
            body: { object: "list", data: [] },
          },
          "/manifest.webmanifest": { body: { name: "OmniRoute", short_name: "OmniRoute" } },
          "/api/cache": {
            status: 401,
            body: { error: { code: "AUTH_001", message: "Authentication required", correlation_id: "4cb0" } },
          },
        },
      },
    ],
    negative: [
      {
        source: "made up: a cache status response of another service",
        answers: { "/api/cache": { body: { size: 0 } } },
      },
    ],
  },
};

export default entry;
