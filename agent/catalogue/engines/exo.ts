import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "exo",
  name: "exo",
  kind: "inference-engine",
  ports: [52415],
  names: ["exo"],
  runsOn: ["python"],
  binaries: ["/EXO\\.app/Contents/"],
  commands: ["-m exo\\.main\\b"],
  traits: [
    {
      path: "/v1/models",
      json: { "data[].owned_by": { matches: "^exo$" } },
      weight: "identity",
      says: "its models are owned by exo",
    },
    {
      path: "/state",
      json: {
        topology: { is: "object" },
        instances: { is: "object" },
        runners: { is: "object" },
        lastEventAppliedIdx: { is: "number" },
      },
      weight: "strong",
      says: "exo's cluster state",
    },
  ],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: false }],
  openai: true,
  directories: [{ path: "~/.exo/models", layout: "files" }],
  sources: ["https://github.com/exo-explore/exo"],
  fixtures: {
    positive: [
      {
        source:
          "code: exo-explore/exo v1.0.71 src/exo/api/types/api.py (ModelListModel), shared/types/state.py (GET /state)",
        answers: {
          "/node_id": { body: '"12D3KooW"' },
          "/state": {
            body: {
              instances: {},
              runners: {},
              downloads: {},
              tasks: {},
              topology: { nodes: [], connections: [] },
              lastEventAppliedIdx: 12,
            },
          },
          "/v1/models": {
            body: {
              object: "list",
              data: [
                {
                  id: "mlx-community/Llama-3.2-1B-Instruct-4bit",
                  object: "model",
                  created: 1700000000,
                  owned_by: "exo",
                },
              ],
            },
          },
        },
      },
      {
        source: "code: exo-explore/exo v1.0.71 src/exo/main.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "-m", "exo.main"],
        },
      },
    ],
    negative: [
      {
        source: "made up: a status response of another service",
        answers: { "/state": { body: { topology: {} } } },
      },
      {
        source: "made up: the status response of a build service",
        answers: { "/state": { body: { topology: {}, instances: {}, runners: {} } } },
      },
    ],
  },
};

export default entry;
