import type { CatalogEntry } from "../entry.ts";

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
      {
        source: "recorded from torchserve 0.12.0 (PyPI), its management API with one model and no worker",
        answers: {
          "/": {
            status: 405,
            body: {
              code: 405,
              type: "MethodNotAllowedException",
              message: "Requested method is not allowed, please refer to API document.",
            },
          },
          "/models": { body: { models: [{ modelName: "echo", modelUrl: "echo.mar" }] } },
        },
      },
      {
        source: "recorded from torchserve 0.12.0 (PyPI): the Java that its command starts",
        process: {
          executable: "/usr/lib/jvm/java-17-openjdk-amd64/bin/java",
          argv: [
            "java",
            "-Dmodel_server_home=/venv/lib/python3.10/site-packages",
            "-cp",
            ".:/venv/lib/python3.10/site-packages/ts/frontend/*",
            "org.pytorch.serve.ModelServer",
            "--python",
            "/venv/bin/python",
            "-f",
            "config.properties",
            "-s",
            "store",
            "-ncs",
          ],
        },
      },
    ],
    negative: [
      {
        source: "made up: a model list of another service",
        answers: { "/models": { body: { models: [{ name: "a" }] } } },
      },
    ],
  },
};

export default entry;
