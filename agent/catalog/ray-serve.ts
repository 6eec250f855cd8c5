import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "ray-serve",
  name: "Ray",
  kind: "inference-engine",
  ports: [8265, 8000],
  names: ["raylet", "gcs_server", "ray::*"],
  runsOn: ["python"],
  binaries: ["/ray/core/src/ray/(?:raylet/raylet|gcs/gcs_server)$"],
  traits: [
    {
      path: "/api/version",
      json: { ray_version: { is: "string" }, ray_commit: { is: "string" } },
      weight: "strong",
      says: "Ray's version document",
    },
    {
      path: "/api/serve/applications/",
      json: { controller_info: { is: "object" }, applications: { is: "object" } },
      weight: "strong",
      says: "Ray Serve's applications",
    },
  ],
  version: [{ path: "/api/version", at: "ray_version" }],
  absorbs: ["vllm", "unknown-weights", "openai-compatible"],
  sources: ["https://docs.ray.io/en/latest/serve/api/index.html"],
  fixtures: {
    positive: [
      {
        source: "documented: docs.ray.io dashboard and Serve REST API",
        answers: {
          "/api/version": {
            body: {
              version: "4",
              ray_version: "2.49.0",
              ray_commit: "b1e4b2c",
              session_name: "session_2025",
            },
          },
          "/api/serve/applications/": {
            body: {
              controller_info: { node_id: "ab", actor_name: "SERVE_CONTROLLER_ACTOR" },
              proxy_location: "EveryNode",
              applications: {},
            },
          },
        },
      },
    ],
    negative: [
      {
        source: "documented: ollama docs/api.md",
        answers: { "/api/version": { body: { version: "0.5.1" } } },
      },
    ],
  },
};

export default entry;
