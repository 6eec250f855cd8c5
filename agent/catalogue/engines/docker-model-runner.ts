import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "docker-model-runner",
  name: "Docker Model Runner",
  kind: "inference-engine",
  ports: [12434, 12444],
  names: ["model-runner", "docker-model-runner", "com.docker.llama-server"],
  binaries: ["/com\\.docker\\.llama-server$"],
  traits: [
    {
      path: "/",
      body: "^Docker Model Runner is running",
      weight: "identity",
      says: "the front page says Docker Model Runner is running",
    },
    {
      path: "/engines/v1/models",
      json: { object: { matches: "^list$" }, data: { is: "array" } },
      weight: "strong",
      says: "an OpenAI list behind the engine prefix",
    },
    {
      path: "/engines/v1/models",
      json: { "data[].owned_by": { matches: "^docker$" } },
      weight: "identity",
      says: "its models are owned by docker",
    },
  ],
  models: [{ path: "/engines/v1/models", each: "data[]", name: "id", loaded: false }],
  openai: true,
  impersonates: ["ollama"],
  directories: [{ path: "~/.docker/models", layout: "files" }],
  sources: ["https://docs.docker.com/ai/model-runner/"],
  fixtures: {
    positive: [
      {
        source:
          "code: docker/model-runner v1.2.9 pkg/inference/models/api.go (OpenAI list) and server.go (GET /)",
        answers: {
          "/": { body: "Docker Model Runner is running" },
          "/engines/v1/models": {
            body: {
              object: "list",
              data: [{ id: "ai/smollm2:latest", object: "model", created: 1742816981, owned_by: "docker" }],
            },
          },
          "/models": { body: [{ id: "sha256:354bf30d", tags: ["ai/smollm2:latest"] }] },
        },
      },
    ],
    negative: [
      {
        source: "documented: Shopify Rails engines answer 404 there",
        answers: { "/engines/v1/models": { status: 404, body: { status: 404, error: "Not Found" } } },
      },
    ],
  },
};

export default entry;
