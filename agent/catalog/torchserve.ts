import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "torchserve",
  name: "TorchServe",
  kind: "inference-engine",
  ports: [8080, 8081, 8082],
  names: ["torchserve"],
  runsOn: ["java", "python"],
  commands: ["\\borg\\.pytorch\\.serve\\.ModelServer\\b"],
  traits: [
    {
      path: "/models",
      json: { "models[].modelName": { is: "string" }, "models[].modelUrl": { is: "string" } },
      weight: "strong",
      says: "its list of models with their archives",
    },
  ],
  models: [{ path: "/models", each: "models[]", name: "modelName", loaded: true }],
  sources: ["https://pytorch.org/serve/management_api.html"],
  fixtures: {
    positive: [
      {
        source: "documented: pytorch/serve docs/management_api.md (GET /models)",
        answers: {
          "/models": {
            body: {
              nextPageToken: "2",
              models: [
                { modelName: "mnist", modelUrl: "mnist.mar" },
                { modelName: "resnet", modelUrl: "resnet.mar" },
              ],
            },
          },
        },
      },
      {
        source: "documented: pytorch/serve frontend",
        process: {
          executable: "/usr/lib/jvm/java-17/bin/java",
          argv: ["java", "-cp", ".:/ts/frontend/*", "org.pytorch.serve.ModelServer"],
        },
      },
    ],
    negative: [
      { source: "made up: a list of models", answers: { "/models": { body: { models: [{ name: "a" }] } } } },
    ],
  },
};

export default entry;
