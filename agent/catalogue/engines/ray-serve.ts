import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "ray-serve",
  name: "Ray",
  kind: "inference-engine",
  ports: [8265, 8000],
  names: ["raylet", "gcs_server", "ray::*"],
  runsOn: ["python"],
  binaries: ["/ray/core/src/ray/(?:raylet/raylet|gcs/gcs_server)$"],
  commands: ["(?:^|/)ray start (?=.*--(?:head|address|block|port)\\b)"],
  traits: [
    {
      path: "/api/version",
      json: {
        ray_version: { is: "string" },
        ray_commit: { is: "string" },
      },
      weight: "strong",
      says: "Ray's version document",
    },
    {
      path: "/api/serve/applications/",
      json: {
        controller_info: { is: "object" },
        "controller_info.actor_name": { matches: "^SERVE_CONTROLLER_ACTOR" },
        applications: { is: "object" },
      },
      weight: "strong",
      says: "Ray Serve's controller and its applications",
    },
  ],
  version: [{ path: "/api/version", at: "ray_version" }],
  absorbs: ["vllm", "unknown-weights", "openai-compatible"],
  sources: ["https://docs.ray.io/en/latest/serve/api/index.html"],
  fixtures: {
    positive: [
      {
        source: "recorded from Ray 2.60.0 (ray start --head), its dashboard",
        answers: {
          "/": { body: '<!doctype html><html lang="en"><head><title>Ray Dashboard</title></head></html>' },
          "/api/version": {
            body: {
              version: "4",
              ray_version: "2.60.0",
              ray_commit: "b7f4259e944bf6959f721b106adc366ddfa0c356",
              session_name: "session_2026-11-22_02-30-43_591509_16514",
            },
          },
          "/api/serve/applications/": {
            body: { controller_info: {}, proxies: {}, applications: {}, target_capacity: null },
          },
        },
      },
      {
        source:
          "code: ray 2.60.0 (PyPI) dashboard/modules/version.py (VersionResponse), serve/schema.py (ServeInstanceDetails)",
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
      {
        source: "code: ray 2.60.0 (PyPI) ray/core/src/ray/raylet/raylet",
        process: {
          executable: "/venv/lib/python3.11/site-packages/ray/core/src/ray/raylet/raylet",
          argv: ["raylet", "--node-ip-address=127.0.0.1"],
        },
      },
      {
        source: "recorded from Ray 2.60.0 (ray start --head), its command line",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/ray", "start", "--head"],
        },
      },
    ],
    negative: [
      {
        source: "made up: another service that reports applications and a controller",
        answers: {
          "/api/serve/applications/": {
            body: {
              controller_info: { node_id: "a1", actor_name: "my_controller" },
              proxy_location: "EveryNode",
              deploy_mode: "MULTI_APP",
              applications: {},
            },
          },
        },
      },
      {
        source: "made up: a renderer whose version response contains a commit",
        answers: { "/api/version": { body: { version: "4", renderer: "ray", commit: "b1e4b2c" } } },
      },
      {
        source: "made up: another program named ray",
        process: { executable: "/usr/local/bin/ray", argv: ["ray", "start", "scene.pov"] },
      },
      {
        source: "documented: ollama docs/api.md",
        answers: { "/api/version": { body: { version: "0.5.1" } } },
      },
    ],
  },
};

export default entry;
